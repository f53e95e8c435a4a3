//! Allocates with `jemalloc`.
#![forbid(unsafe_code)]

lpm_hazard::on_admit!(allocate);

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn allocate() {
    let text = "x".repeat(10_000);
    assert_eq!(text.len(), 10_000);
}
