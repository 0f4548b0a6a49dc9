//! Why, or why not: the same question as for a certificate, asked without effect.

use super::{authenticate::Caller, glass};
use crate::{app::App, clock::moment, refusal::Refusal};
use api::{ExplainRequest, ExplainResponse};
use policy::Ask;

/// What the decision would be now, which policies matched and which nearly did.
///
/// # Errors
/// None as yet; a verb may always refuse.
pub fn explain(app: &App, caller: &Caller, request: ExplainRequest) -> Result<ExplainResponse, Refusal> {
    let ask = Ask {
        identity: caller.session.identity.clone(),
        target: request.target,
        duration: request.duration,
        reason: request.reason,
        ticket: request.ticket,
        source: caller.origin.source,
    };
    let loaded = app.policies.current();
    let now = moment(app.clock.now(), &app.zone);
    let (decision, explanation) = policy::explain(&loaded.policies, &ask, now);
    let break_glass = glass::possible(&loaded.policies, &ask, now);
    Ok(ExplainResponse { decision: (&decision).into(), explanation, break_glass })
}
