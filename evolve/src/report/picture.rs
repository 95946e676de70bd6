//! Images of a data set, as they stand in a page.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use exporter::dataset::Images;
use maud::{Markup, html};

use crate::image_png::image_png;

/// Image `index` with an alternative text.
pub(super) fn picture(images: &Images, index: usize, alternative: &str) -> Markup {
    let shape = images.shape();
    let png = BASE64_STANDARD.encode(image_png(images, index));
    html! {
        img src={ "data:image/png;base64," (png) } alt=(alternative)
            width=(shape.width) height=(shape.height);
    }
}
