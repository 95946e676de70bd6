//! What is to be said about image files that other formats leave nothing to say about.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::str::FromStr;

use clap::Args;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::super::DatasetError;

/// How image files become the images of a data set: options of a command line or of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub struct ImageOptions {
    /// Width and height that image files are scaled to, as 48x32 [default: the size that all have].
    #[arg(long, value_name = "WxH")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<ImageSize>,
    /// Read image files in gray [default: in color, unless all are gray].
    #[arg(long)]
    #[serde(default, skip_serializing_if = "is_unset")]
    pub gray: bool,
    /// Refuse a folder with image files that cannot be used, instead of leaving them out.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "is_unset")]
    pub strict: bool,
}

impl ImageOptions {
    /// Refuses options that change images, for files of a `format` whose images are used as they are.
    pub(in super::super) fn require_none(
        &self,
        path: &Path,
        format: &'static str,
    ) -> Result<(), DatasetError> {
        if self.size.is_none() && !self.gray {
            return Ok(());
        }
        Err(DatasetError::ImageOptions {
            path: path.to_owned(),
            format,
        })
    }
}

/// A flag that is not set says nothing, so that another source of options may.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_unset(flag: &bool) -> bool {
    !flag
}

/// Width and height of an image in pixels, neither of them 0; as a text, `48x32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageSize {
    width: u16,
    height: u16,
}

impl ImageSize {
    /// Columns.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Rows.
    pub fn height(self) -> u16 {
        self.height
    }
}

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{text}\" is no size: give width and height, each from 1 to 65535, as 48x32")]
pub struct NoImageSize {
    text: String,
}

impl FromStr for ImageSize {
    type Err = NoImageSize;

    fn from_str(text: &str) -> Result<Self, NoImageSize> {
        let pair = text.split_once('x');
        match pair.map(|(width, height)| (width.parse(), height.parse())) {
            Some((Ok(width @ 1..), Ok(height @ 1..))) => Ok(Self { width, height }),
            _ => Err(NoImageSize {
                text: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for ImageSize {
    type Error = NoImageSize;

    fn try_from(text: String) -> Result<Self, NoImageSize> {
        text.parse()
    }
}

impl Display for ImageSize {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl From<ImageSize> for String {
    fn from(size: ImageSize) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_width_and_height() {
        let size: ImageSize = "48x32".parse().expect("is a size");
        assert_eq!((size.width(), size.height()), (48, 32));
        assert_eq!(size.to_string(), "48x32");
        for wrong in [
            "", "48", "48x", "x32", "0x32", "48x0", "48x32x3", "65536x1", "-1x1",
        ] {
            let error = wrong.parse::<ImageSize>().expect_err(wrong).to_string();
            assert!(
                error.starts_with(&format!("\"{wrong}\" is no size: ")),
                "{error}"
            );
        }
    }
}
