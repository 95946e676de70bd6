//! Numbers as people read them.

pub(super) use exporter::network_svg::thousands;

/// `98.70 %`, of a share between 0 and 1, which no line break divides.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2}\u{a0}%", 100.0 * share)
}

/// `+0.30`: a difference of two shares in percentage points.
pub(super) fn points(difference: f64) -> String {
    // Without the sum, a negative zero would have a sign.
    format!("{:+.2}", 100.0 * difference + 0.0).replace('-', "\u{2212}")
}

/// A share as a tick's label: as few digits as tell it.
pub(super) fn percent_tick(share: f64) -> String {
    let rounded = format!("{:.2}", 100.0 * share);
    let trimmed = rounded.trim_end_matches('0').trim_end_matches('.');
    format!("{trimmed} %")
}

/// `950`, `1.5k`, `20k`, `3M`.
pub(super) fn compact(value: f64) -> String {
    let (scaled, unit) = match value {
        1e6.. => (value / 1e6, "M"),
        1e3.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let rounded = format!("{scaled:.2}");
    let trimmed = rounded.trim_end_matches('0').trim_end_matches('.');
    format!("{trimmed}{unit}")
}

/// `1 h 04 min`, `12 min 07 s` or `8.3 s`.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds:.1} s"),
        (0, _) => format!("{minutes} min {:02} s", whole % 60),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let thousands = [0, 999, 1000, 1_234_567].map(thousands);
        assert_eq!(thousands, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(percent(0.98704), "98.70\u{a0}%");
        assert_eq!(
            [0.003, -0.003, -0.0, 0.0].map(points),
            ["+0.30", "\u{2212}0.30", "+0.00", "+0.00"]
        );
        assert_eq!([0.9, 0.995].map(percent_tick), ["90 %", "99.5 %"]);
        let compact = [950.0, 1500.0, 20_000.0, 3e6].map(compact);
        assert_eq!(compact, ["950", "1.5k", "20k", "3M"]);
        let durations = [8.26, 727.0, 3840.0].map(duration);
        assert_eq!(durations, ["8.3 s", "12 min 07 s", "1 h 04 min"]);
    }
}
