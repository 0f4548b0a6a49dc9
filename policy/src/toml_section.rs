//! TOML read strictly: every key known, every value of its kind, every complaint with its place.

use crate::{Finding, WordError, source::Source, source::suggestion};
use std::{ops::Range, str::FromStr};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One table of a source.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    source: &'a Source,
    table: &'a DeTable<'a>,
    start: usize,
}

/// A value and where it stands.
pub(crate) struct Placed<'a, T> {
    pub(crate) value: T,
    pub(crate) source: &'a Source,
    pub(crate) start: usize,
}

impl<T> Placed<'_, T> {
    pub(crate) fn finding(&self, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        self.source.finding(self.start, message, hint)
    }
}

/// The `[[name]]` tables of `source`, the only thing allowed at its top.
pub(crate) fn tables<T>(
    source: &Source,
    name: &str,
    most: usize,
    mut read: impl FnMut(Section<'_>) -> Result<T, Finding>,
) -> Result<Vec<T>, Vec<Finding>> {
    source.readable().map_err(|finding| vec![finding])?;
    let whole = DeTable::parse(&source.text).map_err(|error| vec![syntax(source, error.message(), error.span())])?;
    let top = Section { source, table: whole.get_ref(), start: 0 };
    top.only(&[name]).map_err(|finding| vec![finding])?;
    let Some((_, list)) = top.value(name) else { return Ok(Vec::new()) };
    let wrong = || {
        vec![source.finding(
            list.span().start,
            format!("`{name}` is not a list of tables"),
            format!("write [[{name}]]"),
        )]
    };
    let list = list.get_ref().as_array().ok_or_else(wrong)?;
    if list.len() > most {
        return Err(vec![source.finding(0, format!("more than {most} [[{name}]]"), "split the installation")]);
    }
    let (mut read_so_far, mut findings) = (Vec::with_capacity(list.len()), Vec::new());
    for item in list.iter() {
        let table = item.get_ref().as_table().ok_or_else(wrong)?;
        match read(Section { source, table, start: item.span().start }) {
            Ok(value) => read_so_far.push(value),
            Err(finding) => findings.push(finding),
        }
        if findings.len() >= Finding::MOST {
            break;
        }
    }
    if findings.is_empty() { Ok(read_so_far) } else { Err(findings) }
}

fn syntax(source: &Source, message: &str, span: Option<Range<usize>>) -> Finding {
    source.finding(span.map_or(0, |s| s.start), message, "see https://toml.io")
}

impl<'a> Section<'a> {
    /// Refuses keys other than `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Finding> {
        let stranger = self.table.keys().find(|key| !known.contains(&key.get_ref().as_ref()));
        stranger.map_or(Ok(()), |key| {
            let name = key.get_ref();
            let hint = suggestion(name, known.iter().copied());
            Err(self.source.finding(key.span().start, format!("unknown key `{name}`"), hint))
        })
    }

    /// A complaint about the table as a whole.
    pub(crate) fn finding(&self, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        self.source.finding(self.start, message, hint)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<Placed<'a, &'a str>>, Finding> {
        self.read(key, "a text in quotes", |value| value.as_str())
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Finding> {
        Ok(self.read(key, "true or false", |value| value.as_bool())?.map(|placed| placed.value))
    }

    pub(crate) fn number<T: FromStr>(&self, key: &str) -> Result<Option<T>, Finding> {
        let parse = |value: &'a DeValue<'a>| {
            value.as_integer().filter(|number| number.radix() == 10).and_then(|number| number.as_str().parse().ok())
        };
        Ok(self.read(key, "a whole number in range", parse)?.map(|placed| placed.value))
    }

    pub(crate) fn moment(&self, key: &str) -> Result<Option<Placed<'a, &'a toml::value::Datetime>>, Finding> {
        self.read(key, "a date and time like 2026-03-02T10:30:00+01:00", |value| value.as_datetime())
    }

    pub(crate) fn word<T: FromStr<Err = WordError>>(&self, key: &str) -> Result<Option<Placed<'a, T>>, Finding> {
        self.text(key)?.map(parsed).transpose()
    }

    pub(crate) fn needed<T: FromStr<Err = WordError>>(&self, key: &str) -> Result<Placed<'a, T>, Finding> {
        self.word(key)?.ok_or_else(|| self.finding(format!("`{key}` is missing"), format!("add {key} = \"…\"")))
    }

    pub(crate) fn texts(&self, key: &str, most: usize) -> Result<Option<Vec<Placed<'a, &'a str>>>, Finding> {
        let Some(list) = self.read(key, "a list of texts", |value| value.as_array())? else { return Ok(None) };
        if list.value.len() > most {
            return Err(list.finding(format!("more than {most} entries in `{key}`"), "shorten the list"));
        }
        let text = |item: &'a Spanned<DeValue<'a>>| {
            let start = item.span().start;
            let wrong = || self.source.finding(start, format!("`{key}` is a list of texts"), "put each in quotes");
            Ok(Placed { value: item.get_ref().as_str().ok_or_else(wrong)?, source: self.source, start })
        };
        list.value.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn words<T>(&self, key: &str, most: usize) -> Result<Option<Vec<Placed<'a, T>>>, Finding>
    where
        T: FromStr<Err = WordError>,
    {
        self.texts(key, most)?.map(|all| all.into_iter().map(parsed).collect()).transpose()
    }

    /// A table of texts, such as labels.
    pub(crate) fn pairs(&self, key: &str, most: usize) -> Result<Vec<(Placed<'a, &'a str>, &'a str)>, Finding> {
        let Some(table) = self.read(key, "a table", |value| value.as_table())? else { return Ok(Vec::new()) };
        if table.value.len() > most {
            return Err(table.finding(format!("more than {most} entries in `{key}`"), "shorten it"));
        }
        let pair = |(name, value): (&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>)| {
            let name = Placed { value: name.get_ref().as_ref(), source: self.source, start: name.span().start };
            let wrong = || name.finding(format!("`{}` is not a text", name.value), "put the value in quotes");
            let value = value.get_ref().as_str().ok_or_else(wrong)?;
            Ok((name, value))
        };
        table.value.iter().map(pair).collect()
    }

    fn value(&self, key: &str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
        self.table.get_key_value(key).map(|(key, value)| (key.span().start, value))
    }

    fn read<T>(
        &self,
        key: &str,
        kind: &str,
        take: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Result<Option<Placed<'a, T>>, Finding> {
        let Some((start, found)) = self.value(key) else { return Ok(None) };
        let wrong = || self.source.finding(start, format!("`{key}` is not {kind}"), format!("write {kind}"));
        Ok(Some(Placed { value: take(found.get_ref()).ok_or_else(wrong)?, source: self.source, start }))
    }
}

fn parsed<'a, T: FromStr<Err = WordError>>(text: Placed<'a, &'a str>) -> Result<Placed<'a, T>, Finding> {
    let value = text.value.parse().map_err(|error: WordError| {
        text.finding(format!("`{}` is not a valid {}", text.value, error.word), error.rule)
    })?;
    Ok(Placed { value, source: text.source, start: text.start })
}
