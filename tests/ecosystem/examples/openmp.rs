//! Has C code with OpenMP add up numbers, on threads that stay.
#![forbid(unsafe_code)]

lpm_hazard::on_admit!(add_up);

fn add_up() {
    assert_eq!(openmp::sum(100), 5_050);
}
