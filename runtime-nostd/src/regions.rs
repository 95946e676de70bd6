//! The plan of RAM, for people who want to see what takes it.

use crate::arena::Span;
use crate::model::Model;

/// A part of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// What lies there.
    pub content: Content,
    /// Its offset from the start of the arena, in bytes.
    pub start: usize,
    /// Its length in bytes.
    pub bytes: usize,
}

/// What a [`Region`] holds. Layers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// How far every layer is.
    Progress,
    /// The rows of the image that are kept.
    Image,
    /// The rows of a layer's output that are kept.
    Rows {
        /// The layer.
        layer: usize,
    },
    /// A layer's accumulators.
    Sums {
        /// The layer.
        layer: usize,
    },
    /// Where a layer's 8-bit weights are expanded, and the outputs that they give are collected.
    Weights {
        /// The layer.
        layer: usize,
    },
}

impl<const LAYERS: usize> Model<'_, LAYERS> {
    /// The parts of the arena: progress, image, then layer by layer. Parts that overlap are not in
    /// use at the same time.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        let progress = Span {
            start: 0,
            words: self.layers().len(),
        };
        let first = [
            (Content::Progress, progress),
            (Content::Image, self.stream(0).span),
        ];
        let layers = self.layers().iter().enumerate().flat_map(|(layer, plan)| {
            let weights = Span {
                words: plan.expansion_words(),
                ..self.expansion
            };
            [
                (Content::Rows { layer }, plan.rows.span),
                (Content::Sums { layer }, plan.sums),
                (Content::Weights { layer }, weights),
            ]
        });
        let all = first.into_iter().chain(layers);
        all.filter(|(_, span)| span.words > 0)
            .map(|(content, span)| Region {
                content,
                start: span.start * 4,
                bytes: span.words * 4,
            })
    }
}
