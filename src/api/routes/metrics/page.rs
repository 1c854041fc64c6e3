//! Prometheus' text form: families of metrics, and the samples of each.

use std::fmt::Write as _;

use crate::telemetry::latency::LatencyStats;

/// Bytes that a page takes, about.
const SIZE: usize = 16 << 10;

/// The text so far.
pub(super) struct Page(String);

impl Default for Page {
    fn default() -> Self {
        Self(String::with_capacity(SIZE))
    }
}

impl Page {
    /// Begins a family: its help and its type are written once, then its samples.
    pub(super) fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Samples<'_> {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Samples {
            text: &mut self.0,
            name,
        }
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// The samples of one family.
pub(super) struct Samples<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Samples<'_> {
    /// The family's only sample, without a label.
    pub(super) fn one(&mut self, value: f64) {
        self.labelled(&[], value);
    }

    /// A sample with labels: name and text of each.
    pub(super) fn labelled(&mut self, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(self.name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let open = if n == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// A sample for each item: `of` gives the label's text and the value.
    pub(super) fn each<'i, T>(
        &mut self,
        label: &str,
        items: &'i [T],
        of: impl Fn(&'i T) -> (&'i str, f64),
    ) {
        for item in items {
            let (text, value) = of(item);
            self.labelled(&[(label, text)], value);
        }
    }

    /// The quantiles that are known, microseconds given, seconds written.
    pub(super) fn quantiles(&mut self, stats: &LatencyStats) {
        for (quantile, us) in [
            ("0.5", stats.p50_us),
            ("0.95", stats.p95_us),
            ("0.99", stats.p99_us),
        ] {
            if let Some(us) = us {
                self.labelled(&[("quantile", quantile)], us as f64 / 1e6);
            }
        }
    }
}

fn escaped(text: &str) -> String {
    let clean = crate::text::clean_line(text, 120);
    clean.replace('\\', "\\\\").replace('"', "\\\"")
}
