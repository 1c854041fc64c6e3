//! What an audit says about a line.

/// Something about a line of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// `pack/id`.
    pub(crate) id: &'static str,
    /// Its line in the new file.
    pub(crate) line: u32,
    /// Other lines that it is made of.
    pub(crate) also: Vec<u32>,
    /// What is particular about it.
    pub(crate) detail: Option<String>,
}

pub(super) fn remark(id: &'static str, line: u32) -> Remark {
    Remark {
        id,
        line,
        also: Vec::new(),
        detail: None,
    }
}

impl Remark {
    pub(super) fn because(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }
}
