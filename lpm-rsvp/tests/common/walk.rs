//! Looks at everything a message has, through every view. Shared with the fuzz targets.

use lpm_rsvp::policy::Attribute;
use lpm_rsvp::{FlowDescriptor, Identity, Message, PolicyElement};

/// Reads every field of every view and returns a number that depends on all of them, so that
/// nothing is optimized away.
pub fn walk(message: &Message<'_>) -> usize {
    let mut seen = message.message_type().to_string().len() + message.entries().len();
    for object in message.objects() {
        seen += usize::from(object.class) + object.body.len();
    }
    seen += usize::from(message.session().is_some());
    seen += usize::from(message.hop().is_some());
    seen += usize::from(message.time_values().is_some());
    seen += usize::from(message.error_spec().is_some());
    seen += usize::from(message.style().is_some());
    seen += usize::from(message.resv_confirm().is_some());
    seen += usize::from(message.sender_template().is_some());
    seen += usize::from(message.sender_tspec().is_some());
    seen += message.scope().map_or(0, |scope| scope.addresses().count());
    if let Some(adspec) = message.adspec() {
        for block in adspec.blocks().flatten() {
            for parameter in block.parameters().flatten() {
                seen += usize::from(parameter.number) + usize::from(parameter.f32().is_ok());
            }
        }
        seen += usize::from(adspec.general().is_ok());
        seen += usize::from(adspec.guaranteed().is_ok());
        seen += usize::from(adspec.controlled_load().is_ok());
    }
    for flow in message.flow_descriptors() {
        seen += walk_flow(&flow);
    }
    for data in message.policy_data().flatten() {
        seen += data.options().count();
        seen += data.filter_specs().count();
        seen += usize::from(data.scope().is_some());
        seen += usize::from(data.originating_hop().is_some());
        seen += usize::from(data.destination_hop().is_some());
        seen += usize::from(data.refresh_time().is_some());
        seen += data.raw_elements().count();
    }
    for element in message.policy_elements() {
        match element {
            Ok(PolicyElement::AuthUser(identity) | PolicyElement::AuthApp(identity)) => {
                seen += walk_identity(&identity);
            }
            Ok(element) => seen += usize::from(element.p_type()),
            Err(error) => seen += error.to_string().len(),
        }
    }
    seen += message.bundled().count();
    seen + message.to_string().len() + message.tree().to_string().len()
}

fn walk_flow(flow: &FlowDescriptor<'_>) -> usize {
    let mut seen = usize::from(flow.index()) + usize::from(flow.tspec().is_some());
    for filter in flow.filters() {
        seen += usize::from(filter.port().unwrap_or(0));
    }
    match flow.flow_spec().map(|spec| spec.service()) {
        Some(Ok(service)) => seen + usize::from(service.tspec().is_some()),
        Some(Err(error)) => seen + usize::from(error.offset),
        None => seen,
    }
}

fn walk_identity(identity: &Identity<'_>) -> usize {
    let mut seen = 0;
    for attribute in identity.attributes() {
        seen += match attribute {
            Ok(Attribute::PolicyLocator(locator)) => locator
                .text()
                .map_or(1, |text| text.to_string().len() + text.chars().count()),
            Ok(Attribute::Credential(credential)) => credential
                .text()
                .map_or(1, |text| usize::from(text.eq_str("Alice"))),
            Ok(Attribute::DigitalSignature(signature)) => signature.len(),
            Ok(Attribute::PolicyError(error)) => usize::from(error.error.number()),
            Ok(_) => 1,
            Err(error) => usize::from(error.offset),
        };
    }
    seen += identity
        .locator()
        .map_or(0, |text| usize::from(text.eq_ignore_ascii_case("x")));
    seen += identity
        .credential()
        .map_or(0, |credential| usize::from(credential.sub_type()));
    seen + identity
        .signed()
        .map_or(0, |(covered, signature)| covered.len() + signature.len())
}
