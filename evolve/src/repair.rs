//! Repair: the smallest change that makes a gene fit the map it meets (paper, section 3.3:
//! "EA4CNN automatically ensures its correct connection").

use runtime_nostd::geometry::Shape;

use crate::genome::{
    Gene, MAX_CONV_STRIDE, MAX_FILTERS, MAX_KERNEL_SIZE, MAX_POOL_SIZE, MIN_POOL_SIZE,
};

/// `gene` as it fits a `map`: each hyperparameter at the value within its range that is nearest
/// to the old one. `None` where nothing fits: a map of one row or column has nothing to pool.
///
/// A convolution always fits: its kernel shrinks to the padded map, its padding below the kernel.
pub fn mend(gene: Gene, map: Shape) -> Option<Gene> {
    let side = map.height.min(map.width);
    match gene {
        Gene::Conv {
            kernel_size,
            filters,
            stride,
            padding,
        } => {
            let wanted = kernel_size.clamp(1, MAX_KERNEL_SIZE);
            let padding = padding.min(wanted - 1);
            Some(Gene::Conv {
                // A map has one row at least: the kernel stays larger than the padding.
                kernel_size: shrink_to(wanted, side.saturating_add(2 * u16::from(padding))),
                filters: filters.clamp(1, MAX_FILTERS),
                stride: stride.clamp(1, MAX_CONV_STRIDE),
                padding,
            })
        }
        Gene::Pool { kind, size, stride } => (side >= u16::from(MIN_POOL_SIZE)).then(|| {
            let wanted = size.clamp(MIN_POOL_SIZE, MAX_POOL_SIZE);
            Gene::Pool {
                kind,
                size: shrink_to(wanted, side),
                stride: stride.clamp(1, MAX_POOL_SIZE),
            }
        }),
    }
}

fn shrink_to(size: u8, side: u16) -> u8 {
    u8::try_from(side).map_or(size, |side| size.min(side))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::genome::PoolKind;

    fn any_gene() -> impl Strategy<Value = Gene> {
        let conv =
            any::<(u8, u16, u8, u8)>().prop_map(|(kernel_size, filters, stride, padding)| {
                Gene::Conv {
                    kernel_size,
                    filters,
                    stride,
                    padding,
                }
            });
        let pool = any::<(bool, u8, u8)>().prop_map(|(max, size, stride)| Gene::Pool {
            kind: if max { PoolKind::Max } else { PoolKind::Avg },
            size,
            stride,
        });
        prop_oneof![conv, pool]
    }

    fn small_gene() -> impl Strategy<Value = Gene> {
        any_gene().prop_map(|gene| match gene {
            Gene::Conv {
                kernel_size,
                filters,
                stride,
                padding,
            } => Gene::Conv {
                kernel_size: 1 + kernel_size % MAX_KERNEL_SIZE,
                filters: 1 + filters % MAX_FILTERS,
                stride: 1 + stride % MAX_CONV_STRIDE,
                padding: padding % MAX_KERNEL_SIZE,
            },
            Gene::Pool { kind, size, stride } => Gene::Pool {
                kind,
                size: 2 + size % (MAX_POOL_SIZE - 1),
                stride: 1 + stride % MAX_POOL_SIZE,
            },
        })
    }

    fn any_map() -> impl Strategy<Value = Shape> {
        (1..40u16, 1..40u16, 1..9u16)
            .prop_map(|(height, width, channels)| Shape::new(height, width, channels))
    }

    proptest! {
        #[test]
        fn mended_genes_fit(gene in any_gene(), map in any_map()) {
            match mend(gene, map) {
                Some(gene) => prop_assert!(gene.op().output(map).is_ok(), "{gene:?} on {map}"),
                None => {
                    let is_pool = matches!(gene, Gene::Pool { .. });
                    prop_assert!(is_pool && map.height.min(map.width) == 1);
                }
            }
        }

        #[test]
        fn mending_twice_is_mending_once(gene in any_gene(), map in any_map()) {
            if let Some(once) = mend(gene, map) {
                prop_assert_eq!(mend(once, map), Some(once));
            }
        }

        #[test]
        fn genes_that_fit_are_left_alone(gene in small_gene(), map in any_map()) {
            if gene.op().output(map).is_ok() {
                prop_assert_eq!(mend(gene, map), Some(gene));
            }
        }
    }

    #[test]
    fn the_kernel_shrinks_no_further_than_it_must() {
        let gene = Gene::Conv {
            kernel_size: 7,
            filters: 3,
            stride: 2,
            padding: 1,
        };
        let mended = Gene::Conv {
            kernel_size: 5,
            filters: 3,
            stride: 2,
            padding: 1,
        };
        assert_eq!(mend(gene, Shape::new(3, 9, 1)), Some(mended));
    }
}
