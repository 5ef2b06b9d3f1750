//! Numbers for people: as many digits as carry meaning, a true minus sign, thousands grouped.

/// Labels for an axis' ticks (in order, low to high).
pub(super) fn tick_labels(values: &[f64]) -> Vec<String> {
    let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let step = values
        .windows(2)
        .map(|w| w[1] - w[0])
        .filter(|s| *s > 0.0)
        .fold(f64::INFINITY, f64::min);
    let even = values.windows(2).all(|w| (w[1] - w[0] - step).abs() <= step * 1e-6);
    // an even ladder shows the same decimals on each rung, a logarithmic one only those that it needs
    if !even || values.len() < 2 {
        return values.iter().map(|&v| short(v)).collect();
    }
    // and one unit, that of its largest
    let found = UNITS.into_iter().find(|(from, ..)| largest >= 0.9995 * from);
    let (_, unit, sign) = found.unwrap_or((0.0, 1.0, ""));
    let rung = |v: f64| match decimals(step / unit) {
        _ if v == 0.0 && !sign.is_empty() => "0".into(),
        d if d <= 4 && largest < 1e12 => format!("{}{sign}", fixed(v / unit, d)),
        _ => short(v),
    };
    values.iter().map(|&v| rung(v)).collect()
}

/// From where on a unit is used, its size and its sign.
const UNITS: [(f64, f64, &str); 3] = [(1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e5, 1e3, "k")];

/// Decimals that a step of 1, 2 or 5 times a power of ten needs.
fn decimals(step: f64) -> usize {
    (-(step * (1.0 + 1e-9)).log10().floor()).clamp(0.0, 17.0) as usize
}

/// `value` with three significant digits or so, as tables and tooltips show it: 1,024, 34.2, 0.0310, 2.5×10⁻⁵.
pub fn significant(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "–".into(),
        0.0 => "0".into(),
        s if s < 1e-4 => scientific(value, 2),
        s if s >= 1e7 => scientific(value, 2),
        _ => {
            let digits = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
            if value.fract() == 0.0 {
                fixed(value, 0)
            } else {
                fixed(value, digits)
            }
        }
    }
}

/// A round number in as few characters as it needs.
fn short(value: f64) -> String {
    let size = value.abs();
    let part = |by: f64, unit: &str| format!("{}{unit}", plain(value / by));
    match size {
        0.0 => "0".into(),
        s if s < 0.9995e-4 => scientific(value, 6),
        s if s < 99_999.5 => plain(value),
        s if s < 0.9995e6 => part(1e3, "k"),
        s if s < 0.9995e9 => part(1e6, "M"),
        s if s < 0.9995e12 => part(1e9, "G"),
        _ => scientific(value, 6),
    }
}

/// The fewest decimals that say the number to a millionth of itself.
fn plain(value: f64) -> String {
    let enough = (0..12).find(|d| {
        let p = 10f64.powi(*d as i32);
        ((value * p).round() / p - value).abs() <= value.abs() * 1e-6
    });
    fixed(value, enough.unwrap_or(12))
}

fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$e}", value.abs());
    let (lead, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let lead = if lead.contains('.') {
        lead.trim_end_matches('0').trim_end_matches('.')
    } else {
        lead
    };
    let power: String = exponent
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            // ⁰ and ⁴ to ⁹ stand together
            d => char::from_u32(0x2070 + d.to_digit(10).unwrap_or(0)).unwrap_or(d),
        })
        .collect();
    let sign = if value < 0.0 { "−" } else { "" };
    if lead == "1" {
        format!("{sign}10{power}")
    } else {
        format!("{sign}{lead}×10{power}")
    }
}

/// `value` with `decimals` decimals, thousands grouped by commas.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('−');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_carry_meaning() {
        assert_eq!(significant(34.21), "34.2");
        assert_eq!(significant(0.031), "0.0310");
        assert_eq!(significant(1024.0), "1,024");
        assert_eq!(significant(-0.5), "−0.500");
        assert_eq!(significant(2.5e-5), "2.5×10⁻⁵");
        assert_eq!(significant(f64::NAN), "–");
        assert_eq!(fixed(52224.0, 0), "52,224");
        assert_eq!(fixed(-0.001, 2), "0.00");
    }

    #[test]
    fn ladders_of_ticks() {
        assert_eq!(tick_labels(&[0.0, 0.5, 1.0]), ["0.0", "0.5", "1.0"]);
        assert_eq!(tick_labels(&[0.03, 0.1, 0.3, 1.0]), ["0.03", "0.1", "0.3", "1"]);
        assert_eq!(tick_labels(&[0.0, 500.0, 1000.0]), ["0", "500", "1,000"]);
        assert_eq!(tick_labels(&[0.0, 500_000.0, 1_000_000.0]), ["0", "0.5M", "1.0M"]);
        assert_eq!(tick_labels(&[0.0, 50_000.0, 100_000.0]), ["0", "50k", "100k"]);
        assert_eq!(tick_labels(&[1e4, 1e5, 1e6]), ["10,000", "100k", "1M"]);
        assert_eq!(tick_labels(&[1e-6, 1e-5, 1e-4]), ["10⁻⁶", "10⁻⁵", "0.0001"]);
        assert_eq!(tick_labels(&[-0.1, 0.0, 0.1]), ["−0.1", "0.0", "0.1"]);
    }
}
