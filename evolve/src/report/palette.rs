//! The colors of pictures, on light and on dark pages.
//!
//! Pictures are drawn in the light colors, so that one copied out of the page stays right; a style
//! sheet exchanges them where the reader prefers dark pages.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// What a color is for. The hues of series are those of Okabe and Ito, which color-blind readers
/// tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Text.
    Ink,
    /// Axes, edges and less important text.
    Muted,
    /// Grid lines.
    Grid,
    /// The page.
    Paper,
    /// Clouds of points behind the series.
    Cloud,
    /// First series.
    Blue,
    /// Second series.
    Vermilion,
    /// Third series.
    Green,
    /// Fourth series.
    Purple,
    /// Fifth series.
    Orange,
    /// Sixth series.
    Sky,
}

impl Role {
    const ALL: [Self; 11] = [
        Self::Ink,
        Self::Muted,
        Self::Grid,
        Self::Paper,
        Self::Cloud,
        Self::Blue,
        Self::Vermilion,
        Self::Green,
        Self::Purple,
        Self::Orange,
        Self::Sky,
    ];

    /// The colors of series, in the order in which they are taken.
    pub(super) const SERIES: [Self; 6] = [
        Self::Blue,
        Self::Vermilion,
        Self::Green,
        Self::Purple,
        Self::Orange,
        Self::Sky,
    ];

    /// Red, green and blue on light and on dark pages.
    const fn colors(self) -> [u32; 2] {
        match self {
            Self::Ink => [0x1F_23_28, 0xE6_E8_EB],
            Self::Muted => [0x6A_73_7D, 0x9A_A3_AD],
            Self::Grid => [0xE3_E6_EA, 0x31_37_3F],
            Self::Paper => [0xFF_FF_FF, 0x16_1A_20],
            Self::Cloud => [0x9F_B2_C6, 0x5C_6F_84],
            Self::Blue => [0x00_72_B2, 0x4D_B0_E8],
            Self::Vermilion => [0xD5_5E_00, 0xF2_8A_3C],
            Self::Green => [0x00_9E_73, 0x2F_C7_9A],
            Self::Purple => [0xB9_5F_92, 0xE2_9B_C4],
            Self::Orange => [0xE6_9F_00, 0xF0_B9_3A],
            Self::Sky => [0x56_B4_E9, 0x8F_CD_F2],
        }
    }

    /// The color to draw with.
    pub(super) const fn color(self) -> RGBColor {
        let [_, red, green, blue] = self.colors()[0].to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// The color as the plotting library writes it into a picture.
    pub(super) fn hex(self) -> String {
        hex(self.colors()[0])
    }

    /// The custom property with which the page's style sheet names the color.
    const fn property(self) -> &'static str {
        match self {
            Self::Ink => "--ink",
            Self::Muted => "--muted",
            Self::Grid => "--grid",
            Self::Paper => "--paper",
            Self::Cloud => "--cloud",
            Self::Blue => "--blue",
            Self::Vermilion => "--vermilion",
            Self::Green => "--green",
            Self::Purple => "--purple",
            Self::Orange => "--orange",
            Self::Sky => "--sky",
        }
    }
}

fn hex(color: u32) -> String {
    format!("#{color:06X}")
}

/// The colors as custom properties, and the rules that exchange them in pictures.
pub(super) fn style_sheet() -> String {
    let mut light = String::new();
    let mut dark = String::new();
    let mut exchange = String::new();
    for role in Role::ALL {
        let (property, drawn) = (role.property(), role.hex());
        let [on_light, on_dark] = role.colors().map(hex);
        // Writing into memory cannot fail.
        let _ = write!(light, "{property}:{on_light};");
        let _ = write!(dark, "{property}:{on_dark};");
        for attribute in ["fill", "stroke"] {
            let _ = writeln!(
                exchange,
                "svg [{attribute}=\"{drawn}\"] {{ {attribute}: var({property}); }}"
            );
        }
    }
    format!(
        ":root {{ color-scheme: light dark; {light} }}\n\
         @media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{exchange}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_listed_and_no_two_look_alike() {
        for page in [0, 1] {
            let mut colors: Vec<u32> = Role::ALL.map(|role| role.colors()[page]).to_vec();
            colors.sort_unstable();
            colors.dedup();
            assert_eq!(colors.len(), Role::ALL.len());
        }
        assert!(style_sheet().contains("svg [stroke=\"#0072B2\"] { stroke: var(--blue); }"));
    }
}
