//! The usual message to the only LPM, which decides on threads of its own: it is copied, put on the
//! LPM's table, and left to a thread.

use std::sync::Arc;

use crate::answers::admitting::Admitting;
use crate::answers::faults::Function;
use crate::message::ReceivedMessage;
use crate::requests::asked::{Asked, Question};
use crate::seat::seated::Seat;
use crate::seat::worker::Worker;
use crate::serving::Serving;

/// Has a thread of the LPM's make the call, about one flow; `lane` is that of this thread. `None`:
/// the LPM was stopped.
pub(super) fn ask(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
    seat: &Seat,
    lane: u32,
) -> Option<Arc<Admitting>> {
    seat.tally.count_asked(lane);
    let began = seat.begin_timing();
    let admitting = Admitting::of_one_lpm(seat.handle, received);
    let question = Question::Admit(Arc::clone(&admitting));
    let asked = Asked { order: 0, question };
    let request = seat.issue(asked, serving.clock.now());
    if let Some(began) = began {
        seat.requests.time(request, began);
    }
    let ask = |worker: &Worker| worker.ask_to_decide(request, 1, admitting.copied());
    let is_asked = seat.ask_on_worker(Function::Admit, request, ask, &*serving.events);
    is_asked.then_some(admitting)
}
