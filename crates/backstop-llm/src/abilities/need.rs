//! What a request may need of a model beyond text.

use std::{fmt, str::FromStr};

/// Something that a request may need and a model may lack.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Need {
    /// Sound in the request.
    Audio,
    /// Several answers to one request.
    Choices,
    /// Documents in the request.
    Documents,
    /// Top-level fields that only the caller's dialect knows.
    Fields,
    /// A tool that the model must call.
    ForcedTools,
    /// Pictures in the request.
    Images,
    /// Any JSON as the answer.
    JsonMode,
    /// JSON by a schema as the answer.
    JsonSchema,
    /// How likely each token was.
    Logprobs,
    /// Parts and tools that only the caller's dialect knows: what a provider runs itself.
    Native,
    /// Presence and frequency penalties.
    Penalties,
    /// Going on with a message of the assistant's that is begun.
    Prefill,
    /// Thinking asked for.
    Reasoning,
    /// A seed.
    Seed,
    /// At most one tool call at a time.
    SingleToolCalls,
    /// Texts that end the answer.
    Stop,
    /// A system prompt.
    System,
    /// A temperature.
    Temperature,
    /// Tools.
    Tools,
    /// Top-k sampling.
    TopK,
    /// Top-p sampling.
    TopP,
}

impl Need {
    /// Every need.
    pub const ALL: [Self; 21] = [
        Self::Audio,
        Self::Choices,
        Self::Documents,
        Self::Fields,
        Self::ForcedTools,
        Self::Images,
        Self::JsonMode,
        Self::JsonSchema,
        Self::Logprobs,
        Self::Native,
        Self::Penalties,
        Self::Prefill,
        Self::Reasoning,
        Self::Seed,
        Self::SingleToolCalls,
        Self::Stop,
        Self::System,
        Self::Temperature,
        Self::Tools,
        Self::TopK,
        Self::TopP,
    ];

    /// Its name in a configuration: `images`, `json_schema`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.words().0
    }

    /// Why a candidate without it is passed over: `does not take images`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Audio => ("audio", "does not take audio"),
            Self::Choices => ("choices", "gives one answer only"),
            Self::Documents => ("documents", "does not take documents"),
            Self::Fields => ("fields", "does not know a field of the request"),
            Self::ForcedTools => ("forced_tools", "can't be made to call a tool"),
            Self::Images => ("images", "does not take images"),
            Self::JsonMode => ("json_mode", "has no JSON mode"),
            Self::JsonSchema => ("json_schema", "does not take a JSON schema"),
            Self::Logprobs => ("logprobs", "gives no log probabilities"),
            Self::Native => ("native", "does not know a part or tool of the request"),
            Self::Penalties => ("penalties", "takes no penalties"),
            Self::Prefill => ("prefill", "does not go on with a message that is begun"),
            Self::Reasoning => ("reasoning", "does not think"),
            Self::Seed => ("seed", "takes no seed"),
            Self::SingleToolCalls => (
                "single_tool_calls",
                "can't be kept to one tool call at a time",
            ),
            Self::Stop => ("stop", "takes no stop texts"),
            Self::System => ("system", "takes no system prompt"),
            Self::Temperature => ("temperature", "takes no such temperature"),
            Self::Tools => ("tools", "does not take tools"),
            Self::TopK => ("top_k", "takes no top_k"),
            Self::TopP => ("top_p", "takes no top_p"),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no need of that name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownNeed;

impl fmt::Display for UnknownNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown name, expected one of")?;
        for (i, need) in Need::ALL.iter().enumerate() {
            write!(f, "{} {need}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownNeed {}

impl FromStr for Need {
    type Err = UnknownNeed;

    fn from_str(name: &str) -> Result<Self, UnknownNeed> {
        Self::ALL
            .into_iter()
            .find(|need| need.as_str() == name)
            .ok_or(UnknownNeed)
    }
}

/// A set of [`Need`]s.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Needs(u32);

impl Needs {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self::of(&Need::ALL);

    /// Exactly these.
    #[must_use]
    pub const fn of(needs: &[Need]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < needs.len() {
            bits |= 1 << needs[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// These and `need`.
    #[must_use]
    pub const fn with(self, need: Need) -> Self {
        Self(self.0 | 1 << need as u8)
    }

    /// These without `need`.
    #[must_use]
    pub const fn without(self, need: Need) -> Self {
        Self(self.0 & !(1 << need as u8))
    }

    /// Those of these that are not in `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `need` is one of them.
    #[must_use]
    pub const fn contains(self, need: Need) -> bool {
        self.0 & 1 << need as u8 != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Need> {
        Need::ALL.into_iter().filter(move |n| self.contains(*n))
    }
}

impl fmt::Debug for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<Need> for Needs {
    fn from_iter<I: IntoIterator<Item = Need>>(needs: I) -> Self {
        needs.into_iter().fold(Self::NONE, Self::with)
    }
}
