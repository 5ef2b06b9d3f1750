//! Numbers for people: sensible digits, thousands separated, units of time and size.

use api::{JobState, MetricDefinition, Progress};

/// A whole number with its thousands separated: `1,228,800`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 run`, `2 runs`.
pub fn counted(n: usize, noun: &str) -> String {
    match (n, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        _ if noun.ends_with("series") => format!("{} {noun}", count(n as u64)),
        (_, Some(stem)) => format!("{} {stem}ies", count(n as u64)),
        _ => format!("{} {noun}s", count(n as u64)),
    }
}

/// A large count in three digits: `1.23 M`.
pub fn compact(n: u64) -> String {
    let (divisor, unit) = match n {
        0..10_000 => return count(n),
        10_000..1_000_000 => (1e3, "k"),
        1_000_000..1_000_000_000 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    format!("{} {unit}", number(n as f64 / divisor))
}

/// A measured value in three significant digits, or as many as its whole part has, with a true minus sign:
/// `0.0471`, `61.3`, `−12,345`, `3.1e-6`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "not a number".into()
        } else {
            "infinite".into()
        };
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".into();
    }
    let sign = if value < 0.0 { "−" } else { "" };
    if size < 1e-4 {
        return format!("{sign}{size:.1e}");
    }
    // rounding first, so that 999.6 counts as 1,000
    let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
    let rounded: f64 = format!("{size:.decimals$}").parse().unwrap_or(size);
    let decimals = (2 - rounded.log10().floor() as i32).max(0) as usize;
    if decimals == 0 {
        format!("{sign}{}", count(size.round() as u64))
    } else {
        format!("{sign}{size:.decimals$}")
    }
}

/// A metric's value: counts are whole numbers, the others have three digits.
pub fn measured(metric: &MetricDefinition, value: f64) -> String {
    match metric.unit {
        "features" if value.fract() == 0.0 && (0.0..1e15).contains(&value) => count(value as u64),
        _ => number(value),
    }
}

/// A value that was given, not measured: as short as it can be written.
pub fn exact(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e7).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

/// Seconds as people say them: `3.2 s`, `2 min 5 s`, `1 h 4 min`.
pub fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// Bytes in powers of a thousand: `2.1 MB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1000 => format!("{n} B"),
        1000..1_000_000 => format!("{} kB", number(n as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} MB", number(n as f64 / 1e6)),
        _ => format!("{} GB", number(n as f64 / 1e9)),
    }
}

/// A share in whole percent.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A ratio in percent: whole, with more digits where it is small; from 10 on as so many times.
pub fn percent_of(ratio: f64) -> String {
    match ratio.abs() {
        r if r < 0.1 => format!("{} %", number(100.0 * ratio)),
        r if r < 10.0 => percent(ratio),
        _ => format!("{} times", number(ratio)),
    }
}

/// A ratio to what somebody has: `37 % of local's`, `28.6 times local's`.
pub fn share_of(ratio: f64, whom: &str) -> String {
    let of = if ratio.abs() < 10.0 { " of" } else { "" };
    format!("{}{of} {whom}'s", percent_of(ratio))
}

/// Seconds since 1970 as date and time, in UTC so that server and browser write the same: `2026-11-21 02:40 UTC`.
pub fn time(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // days to a date of the Gregorian calendar, counting years from March (Howard Hinnant, "chrono-compatible date algorithms")
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

/// The share of a job that is done; none while its total is unknown.
pub fn share(progress: &Progress) -> Option<f64> {
    (progress.total > 0).then(|| (progress.done as f64 / progress.total as f64).min(1.0))
}

/// Seconds until the job's present stage ends, at its present rate.
pub fn seconds_left(progress: &Progress) -> Option<f64> {
    (progress.rate > 0.0 && progress.total > 0).then(|| progress.total.saturating_sub(progress.done) as f64 / progress.rate)
}

/// A job's state in a word.
pub fn state(state: JobState, cancel_requested: bool) -> &'static str {
    match state {
        JobState::Queued | JobState::Running if cancel_requested => "stopping",
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// What a dictionary's number of active features follows from: λ alone, k by its name.
pub fn dial(dictionary: &api::DictionaryConfig) -> String {
    match dictionary.dial() {
        ("λ", value) => exact(value),
        (name, value) => format!("{name} {}", exact(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_tell_enough() {
        for (value, text) in [
            (0.0, "0"),
            (0.047_13, "0.0471"),
            (1.0, "1.00"),
            (61.34, "61.3"),
            (-0.5, "−0.500"),
            (99.96, "100"),
            (999.6, "1,000"),
            (12_345.6, "12,346"),
            (3.14e-6, "3.1e-6"),
            (-3.14e-6, "−3.1e-6"),
            (f64::NAN, "not a number"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn ratios_are_percents_or_times() {
        assert_eq!(
            [0.0123, 0.37, 9.99, 28.61].map(percent_of),
            ["1.23 %", "37 %", "999 %", "28.6 times"]
        );
        assert_eq!(
            [0.37, 28.61].map(|r| share_of(r, "local")),
            ["37 % of local's", "28.6 times local's"]
        );
    }

    #[test]
    fn counts_are_whole() {
        let shown = |name: &str, value| measured(api::metric(name).unwrap(), value);
        assert_eq!(shown("alive", 64.0), "64");
        assert_eq!(shown("alive", 63.5), "63.5");
        assert_eq!(shown("l0", 64.0), "64.0");
    }

    #[test]
    fn counts_are_separated() {
        assert_eq!([0, 999, 1000, 1_228_800].map(count), ["0", "999", "1,000", "1,228,800"]);
        assert_eq!([9_999, 12_345, 1_228_800].map(compact), ["9,999", "12.3 k", "1.23 M"]);
        assert_eq!(counted(1, "dictionary"), "1 dictionary");
        assert_eq!(counted(13, "dictionary"), "13 dictionaries");
        assert_eq!(counted(0, "run"), "0 runs");
        assert_eq!(counted(2, "series"), "2 series");
    }

    #[test]
    fn durations_have_two_parts_at_most() {
        for (seconds, text) in [
            (0.04, "0.0 s"),
            (3.21, "3.2 s"),
            (59.4, "59 s"),
            (125.0, "2 min 5 s"),
            (3840.0, "1 h 4 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(time(0), "1970-01-01 00:00 UTC");
        assert_eq!(time(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(time(1_795_228_800), "2026-11-21 02:40 UTC");
    }

    #[test]
    fn given_values_stay_as_given() {
        assert_eq!([0.001, 1.0, 0.0, 1e-5].map(exact), ["0.001", "1", "0", "1e-5"]);
    }

    #[test]
    fn time_left_needs_a_rate() {
        let mut progress = Progress {
            done: 50,
            total: 100,
            rate: 10.0,
            ..Progress::default()
        };
        assert_eq!((share(&progress), seconds_left(&progress)), (Some(0.5), Some(5.0)));
        progress.rate = 0.0;
        assert_eq!(seconds_left(&progress), None);
    }
}
