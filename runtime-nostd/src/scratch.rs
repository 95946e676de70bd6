//! Memory for inference.

use core::ops::{Deref, DerefMut};

/// `BYTES` bytes of scratch memory, aligned for an arena.
///
/// ```
/// use runtime_nostd::Scratch;
/// let mut scratch = Scratch::<1832>::new();
/// let words: &mut [i32] = &mut scratch;
/// assert_eq!(words.len(), 458);
/// ```
///
/// The module that the exporter writes takes scratch memory of exactly the network's size, so that
/// too little does not compile:
///
/// ```compile_fail,E0308
/// use runtime_nostd::Scratch;
/// fn infer(scratch: &mut Scratch<1832>) {}
/// infer(&mut Scratch::<1024>::new());
/// ```
#[derive(Clone, Debug)]
#[repr(C, align(4))]
pub struct Scratch<const BYTES: usize> {
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Scratch<BYTES> {
    /// Scratch memory, usable in a `static`. Its contents do not matter.
    pub const fn new() -> Self {
        const {
            assert!(
                BYTES.is_multiple_of(4),
                "scratch memory is a number of 4-byte words"
            );
        }
        Self { bytes: [0; BYTES] }
    }
}

impl<const BYTES: usize> Default for Scratch<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> Deref for Scratch<BYTES> {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        bytemuck::cast_slice(&self.bytes)
    }
}

impl<const BYTES: usize> DerefMut for Scratch<BYTES> {
    fn deref_mut(&mut self) -> &mut [i32] {
        bytemuck::cast_slice_mut(&mut self.bytes)
    }
}
