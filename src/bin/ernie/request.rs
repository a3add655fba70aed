//! A line -> what it asks.

use ernie::pipeline::Input;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::lines::Line;

/// What a line asks, with the name that it has for itself.
pub(crate) struct Record<R> {
    /// `id` of its JSON, a string or number as it stands there.
    pub(crate) id: Option<Box<RawValue>>,
    /// What it asks, or what is wrong with it.
    pub(crate) request: Result<R, String>,
}

/// What can be asked by a line.
pub(crate) trait Request: Sized {
    /// The keys of a JSON line but for `id`.
    type Fields: DeserializeOwned;
    /// What a JSON line should have been.
    const FORM: &'static str;

    fn of_fields(fields: Self::Fields) -> Result<Self, String>;
    fn of_text(text: String) -> Result<Self, String>;
}

/// A text, or a text and its pair.
pub(crate) struct Texts {
    text: String,
    pair: Option<String>,
}

impl Texts {
    pub(crate) fn input(&self) -> Input<'_> {
        Input { text: &self.text, pair: self.pair.as_deref() }
    }
}

/// The names that texts may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextFields {
    #[serde(rename = "id")]
    _id: Option<Box<RawValue>>,
    text: Option<String>,
    pair: Option<String>,
    question: Option<String>,
    passage: Option<String>,
    prompt: Option<String>,
}

impl Request for Texts {
    type Fields = TextFields;
    const FORM: &'static str = "a JSON object with a text";

    fn of_fields(fields: TextFields) -> Result<Self, String> {
        let TextFields { text, pair, question, passage, prompt, .. } = fields;
        match (text, pair, question, passage, prompt) {
            (Some(text), pair, None, None, None) => Ok(Self { text, pair }),
            (None, None, Some(text), Some(passage), None) => Ok(Self { text, pair: Some(passage) }),
            (Some(searched), None, None, None, Some(prompt)) => Ok(Self { text: prompt, pair: Some(searched) }),
            _ => Err("a line has text, text and pair, question and passage, or prompt and text".into()),
        }
    }

    fn of_text(text: String) -> Result<Self, String> {
        Ok(Self { text, pair: None })
    }
}

/// A query and what is to be put in order for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ranking {
    #[serde(rename = "id")]
    _id: Option<Box<RawValue>>,
    pub(crate) query: String,
    pub(crate) candidates: Vec<String>,
}

impl Request for Ranking {
    type Fields = Self;
    const FORM: &'static str = "a JSON object with query and candidates";

    fn of_fields(fields: Self) -> Result<Self, String> {
        Ok(fields)
    }

    fn of_text(_: String) -> Result<Self, String> {
        Err(format!("not {}", Self::FORM))
    }
}

/// Reads a line.
pub(crate) fn record<R: Request>(line: &Line) -> Record<R> {
    let text = match &line.content {
        Ok(text) => text,
        Err(reason) => return Record { id: None, request: Err(reason.clone()) },
    };
    if !line.is_json {
        return Record { id: None, request: R::of_text(text.clone()) };
    }
    if !text.trim_start().starts_with('{') {
        return Record { id: None, request: Err(format!("not {}", R::FORM)) };
    }
    let (id, bad_id) = match id(text) {
        Ok(id) => (id, None),
        Err(reason) => (None, Some(reason)),
    };
    let fields = serde_json::from_str::<R::Fields>(text).map_err(|e| match e.is_syntax() || e.is_eof() {
        true => format!("not {}: {e}; --format text takes lines as they are", R::FORM),
        false => format!("not {}: {e}", R::FORM),
    });
    let request = fields.and_then(|fields| bad_id.map_or(Ok(fields), Err)).and_then(R::of_fields);
    Record { id, request }
}

/// The `id` of a JSON line, whatever else is wrong with the line.
fn id(text: &str) -> Result<Option<Box<RawValue>>, String> {
    #[derive(Deserialize)]
    struct Named {
        id: Option<Box<RawValue>>,
    }
    let Ok(Named { id: Some(id) }) = serde_json::from_str(text) else { return Ok(None) };
    match id.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        true => Ok(Some(id)),
        false => Err("id is neither a string nor a number".into()),
    }
}
