//! The few numeric kernels that everything else is made of, generic over f32 (what runs) and f64 (what the exactness
//! tests run). Reductions are partitioned by shape, never by thread, so that results do not depend on the thread count.

mod eigen;
mod matmul;
mod random;
mod real;
mod threads;
mod vector;

pub use eigen::{Eigen, symmetric_eigen};
pub use matmul::{Mat, MatMut, matmul, par_matmul};
pub use random::normal;
pub use real::{Real, simd};
pub use threads::{PerThread, par_sum};
pub use vector::{add, axpy, dot, log_normaliser, scale, sum, sum_squares};
