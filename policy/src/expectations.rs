//! Policy tests: a request, and what is expected of the decision.

/// How one policy test came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// The test's name.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// Passed, or what was expected and what came.
    pub result: Result<(), String>,
}
