//! One-point crossover of chromosomes of different lengths (paper, section 3.3).
//!
//! ```text
//! A: a0 a1 | a2 flat fc        child of A: a0 a1 b1 b2 flat fc (of B)
//! B: b0 | b1 b2 flat fc        child of B: b0 a2 flat fc (of A)
//! ```
//! Each parent is cut at a place of its own, behind at least one gene. Learning rate and age come
//! from the parent of the first gene, whose child it is; the flattening layer, its neurons and the
//! fully connected layer from the parent of the last gene, whose output they have learned to read.

use rand::RngExt;
use rand_core::Rng;

use crate::draft::Draft;
use crate::space::SearchSpace;

/// Cuts drawn before a pair of parents is given up: nearly all pairs need one or two.
const ATTEMPTS: usize = 16;

/// Crosses the drafts of two different parents. The first child continues `a`, the second `b`.
///
/// Cuts are drawn until both children are in `space`. `None` if none such is found, in particular
/// if each parent has a single gene: then there is nothing to exchange.
pub fn crossover<R: Rng + ?Sized>(
    a: &Draft,
    b: &Draft,
    space: &SearchSpace,
    rng: &mut R,
) -> Option<[Draft; 2]> {
    if a.body.is_empty() || b.body.is_empty() {
        return None;
    }
    (0..ATTEMPTS).find_map(|_| {
        let cut_a = rng.random_range(1..=a.body.len());
        let cut_b = rng.random_range(1..=b.body.len());
        let exchanges_nothing = cut_a == a.body.len() && cut_b == b.body.len();
        if exchanges_nothing {
            return None;
        }
        let mut children = [
            splice((a, cut_a), (b, cut_b)),
            splice((b, cut_b), (a, cut_a)),
        ];
        let admitted = children.iter_mut().all(|child| child.settle(space).is_ok());
        admitted.then_some(children)
    })
}

/// The first genes of `head` up to its cut, then those of `tail` from its cut on.
fn splice((head, head_cut): (&Draft, usize), (tail, tail_cut): (&Draft, usize)) -> Draft {
    let suffix = &tail.body[tail_cut..];
    let last = if suffix.is_empty() { head } else { tail };
    let mut child = Draft {
        body: [&head.body[..head_cut], suffix].concat(),
        flattening: last.flattening,
        classifier: last.classifier,
        ..head.clone()
    };
    child.header.flatten_neurons = last.header.flatten_neurons;
    child.birth.mate = tail.birth.parent;
    child
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::cost::Limits;
    use crate::genome::{Gene, Genome, Header};
    use crate::inherit::{Origin, Parent};

    fn genome(id: u64, filters: &[u16]) -> Genome {
        let header = Header {
            id,
            age: id as u32,
            learning_rate: 0.01 * id as f32,
            flatten_neurons: 10 * id as u16,
        };
        let conv = |&filters: &u16| Gene::Conv {
            kernel_size: 3,
            filters,
            stride: 1,
            padding: 1,
        };
        Genome {
            header,
            genes: filters.iter().map(conv).collect(),
        }
    }

    fn parents() -> (Draft, Draft) {
        (
            Draft::copy_of(&genome(1, &[1, 2, 3]), Parent::A),
            Draft::copy_of(&genome(2, &[4, 5, 6]), Parent::B),
        )
    }

    /// Parent and layer of every gene, then of flattening and fully connected layer.
    fn origins(draft: &Draft) -> Vec<(Parent, usize)> {
        let body = draft.body.iter().map(|layer| layer.origin);
        body.chain([draft.flattening, draft.classifier])
            .map(|origin| match origin {
                Origin::Inherited { parent, layer } => (parent, layer),
                Origin::New => panic!("crossover invents nothing"),
            })
            .collect()
    }

    #[test]
    fn children_are_as_pictured() {
        use Parent::{A, B};
        let (a, b) = parents();
        let child = splice((&a, 2), (&b, 1));
        assert_eq!(
            origins(&child),
            [(A, 0), (A, 1), (B, 1), (B, 2), (B, 3), (B, 4)]
        );
        assert_eq!(child.header.learning_rate, a.header.learning_rate);
        assert_eq!(child.header.age, a.header.age);
        assert_eq!(child.header.flatten_neurons, b.header.flatten_neurons);
        assert_eq!((child.birth.parent, child.birth.mate), (Some(1), Some(2)));

        let child = splice((&b, 1), (&a, 2));
        assert_eq!(origins(&child), [(B, 0), (A, 2), (A, 3), (A, 4)]);
    }

    #[test]
    fn cuts_at_the_ends_reproduce_the_parents() {
        let (a, b) = parents();
        let mut child = splice((&a, 3), (&b, 3));
        child.birth.mate = None;
        assert_eq!(child, a);
        let child = splice((&a, 0), (&b, 0));
        assert_eq!(child.body, b.body);
        assert_eq!(child.header.flatten_neurons, b.header.flatten_neurons);
    }

    #[test]
    fn every_cut_but_the_trivial_one_is_drawn() {
        let space = SearchSpace::small(28);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (a, b) = parents();
        let mut lengths = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let [one, other] = crossover(&a, &b, &space, &mut rng).unwrap();
            assert_eq!(one.body.len() + other.body.len(), 6);
            assert_ne!(one.body, a.body);
            lengths.insert(one.body.len());
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn single_genes_have_nothing_to_exchange() {
        let space = SearchSpace::small(28);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let a = Draft::copy_of(&genome(1, &[1]), Parent::A);
        let b = Draft::copy_of(&genome(2, &[2]), Parent::B);
        assert_eq!(crossover(&a, &b, &space, &mut rng), None);
    }

    #[test]
    fn children_beyond_the_limits_are_not_born() {
        let (a, b) = parents();
        let limits = Limits {
            max_parameters: 1,
            ..Limits::default()
        };
        let space = SearchSpace::small(28).with_limits(limits);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(crossover(&a, &b, &space, &mut rng), None);
    }
}
