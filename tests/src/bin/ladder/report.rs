//! The table.

/// What is aimed at.
#[derive(Clone, Copy)]
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Aim {
    fn met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            Self::None => None,
        }
    }

    fn text(self, digits: usize, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least:.digits$}{unit}"),
            Self::AtMost(most) => format!("<= {most:.digits$}{unit}"),
            Self::None => String::new(),
        }
    }
}

enum Figure {
    /// Of so many a second, to be divided by the raw rate.
    Ratio(f64),
    /// As it is.
    Plain { value: f64, digits: usize, unit: &'static str },
}

struct Row {
    name: String,
    figure: Figure,
    aim: Aim,
}

/// What was measured.
pub struct Report {
    raw: Vec<f64>,
    rows: Vec<Row>,
}

impl Report {
    pub fn new() -> Self {
        Self { raw: Vec::new(), rows: Vec::new() }
    }

    /// The raw rate, taken several times in a run because machines speed up and slow down.
    pub fn raw(&mut self, per_second: f64) {
        eprintln!("raw signatures: {per_second:.0}/s");
        self.raw.push(per_second);
    }

    pub fn ratio(&mut self, name: &str, per_second: f64, aim: Aim) {
        eprintln!("{name}: {per_second:.0}/s");
        self.rows.push(Row { name: name.to_owned(), figure: Figure::Ratio(per_second), aim });
    }

    pub fn micros(&mut self, name: &str, value: f64, aim: Aim) {
        self.plain(name, value, 1, " µs", aim);
    }

    pub fn millis(&mut self, name: &str, value: f64, aim: Aim) {
        self.plain(name, value, 1, " ms", aim);
    }

    pub fn mebibytes(&mut self, name: &str, value: f64, aim: Aim) {
        self.plain(name, value, 1, " MiB", aim);
    }

    pub fn factor(&mut self, name: &str, value: f64, aim: Aim) {
        self.plain(name, value, 2, "", aim);
    }

    fn plain(&mut self, name: &str, value: f64, digits: usize, unit: &'static str, aim: Aim) {
        eprintln!("{name}: {value:.digits$}{unit}");
        self.rows.push(Row { name: name.to_owned(), figure: Figure::Plain { value, digits, unit }, aim });
    }

    pub fn print(&self) {
        let mut sorted = self.raw.clone();
        sorted.sort_by(f64::total_cmp);
        let raw = sorted.get(sorted.len() / 2).copied().unwrap_or(1.0);
        let (least, most) = (sorted.first().copied().unwrap_or(raw), sorted.last().copied().unwrap_or(raw));
        println!("1.00 = {raw:.0} raw Ed25519 signatures a second on {} cores", crate::measure::cores());
        println!("       (median of {}, {least:.0} to {most:.0})\n", sorted.len());
        println!("{:<52} {:>12} {:>10}  {:<10} met", "step", "figure", "ratio", "aim");
        for row in &self.rows {
            let (figure, ratio, aim, met) = match row.figure {
                Figure::Ratio(per_second) => {
                    let ratio = per_second / raw;
                    (format!("{per_second:.0}/s"), format!("{ratio:.3}"), row.aim.text(2, ""), row.aim.met(ratio))
                }
                Figure::Plain { value, digits, unit } => (
                    format!("{value:.digits$}{unit}"),
                    String::new(),
                    row.aim.text(digits.min(2), unit),
                    row.aim.met(value),
                ),
            };
            let met = met.map_or("", |met| if met { "yes" } else { "NO" });
            println!("{:<52} {figure:>12} {ratio:>10}  {aim:<10} {met}", row.name);
        }
    }
}
