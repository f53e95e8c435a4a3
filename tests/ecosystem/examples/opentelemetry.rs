//! Collects a span in batches, with a thread of its own, and shuts down.
#![forbid(unsafe_code)]

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

lpm_hazard::on_admit!(trace);

fn trace() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter.clone())
        .build();
    provider.tracer("lpm").in_span("admit", |_| {});
    provider.force_flush().expect("flushed");
    assert_eq!(exporter.get_finished_spans().expect("the spans").len(), 1);
    provider.shutdown().expect("shut down");
}
