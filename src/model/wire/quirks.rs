//! What a provider's models have shown that they do not take.

/// What a model has shown that it does not take; learnt from its refusals, see [`ProviderQuirks::learn`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProviderQuirks {
    /// The token limit goes by its other name.
    pub other_limit: bool,
    /// No `temperature`.
    pub no_temperature: bool,
    /// A form, but no schema.
    pub no_schema: bool,
    /// No demand for a form.
    pub no_format: bool,
    /// No `stream_options`.
    pub no_stream_options: bool,
    /// No stream at all.
    pub no_stream: bool,
}

impl ProviderQuirks {
    /// The field is of a form, or of the tool that stands for one.
    pub fn is_of_form(field: &str) -> bool {
        let first = field.split(['.', '[']).next();
        matches!(
            first,
            Some("response_format" | "json_schema" | "tool_choice" | "tools")
        )
    }

    /// Takes a refused field's name in; true when the next question will be put differently.
    pub fn learn(&mut self, field: &str) -> bool {
        let before = *self;
        match field.split(['.', '[']).next().unwrap_or_default() {
            // First less is asked for, then nothing.
            _ if Self::is_of_form(field) => {
                self.no_format = self.no_schema;
                self.no_schema = true;
            }
            "max_tokens" | "max_completion_tokens" => self.other_limit = true,
            "temperature" => self.no_temperature = true,
            "stream_options" => self.no_stream_options = true,
            "stream" => self.no_stream = true,
            _ => {}
        }
        *self != before
    }
}
