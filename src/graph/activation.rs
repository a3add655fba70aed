//! Activations, as nodes.

use super::network::{Dialect, Network};
use crate::architecture::Activation;

impl Network<'_> {
    /// `activation(W x + b)`.
    pub(super) fn activated(&mut self, input: &str, linear: &str) -> String {
        let bias = self.writer.weight(&format!("{linear}.bias"));
        match (self.a.activation, self.dialect) {
            (Activation::Relu, Dialect::OnnxRuntime | Dialect::Packed) => {
                self.gemm(input, linear, Some(&bias), Some("Relu"))
            }
            (Activation::Relu, Dialect::Standard | Dialect::Cuda) => {
                let product = self.gemm(input, linear, Some(&bias), None);
                self.writer.node("Relu", &[&product], &[])
            }
            (Activation::Gelu, Dialect::OnnxRuntime | Dialect::Packed | Dialect::Cuda) => {
                let product = self.gemm(input, linear, Some(&bias), None);
                self.writer.microsoft("Gelu", &[&product], &[])
            }
            (Activation::Gelu, Dialect::Standard) => {
                let product = self.gemm(input, linear, Some(&bias), None);
                self.standard_gelu(&product)
            }
            (Activation::GeluTanh, _) => {
                let product = self.gemm(input, linear, Some(&bias), None);
                self.standard_gelu_tanh(&product)
            }
        }
    }

    fn standard_gelu(&mut self, x: &str) -> String {
        let (root, one, half) =
            (self.writer.float(std::f32::consts::SQRT_2), self.writer.float(1.0), self.writer.float(0.5));
        let scaled = self.writer.node("Div", &[x, &root], &[]);
        let erf = self.writer.node("Erf", &[&scaled], &[]);
        let factor = self.writer.node("Add", &[&erf, &one], &[]);
        let product = self.writer.node("Mul", &[x, &factor], &[]);
        self.writer.node("Mul", &[&product, &half], &[])
    }

    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    fn standard_gelu_tanh(&mut self, x: &str) -> String {
        let [cubic, root, one, half] =
            [0.044_715, (2.0 / std::f32::consts::PI).sqrt(), 1.0, 0.5].map(|value| self.writer.float(value));
        let square = self.writer.node("Mul", &[x, x], &[]);
        let cube = self.writer.node("Mul", &[&square, x], &[]);
        let cube = self.writer.node("Mul", &[&cube, &cubic], &[]);
        let inner = self.writer.node("Add", &[x, &cube], &[]);
        let inner = self.writer.node("Mul", &[&inner, &root], &[]);
        let tanh = self.writer.node("Tanh", &[&inner], &[]);
        let factor = self.writer.node("Add", &[&tanh, &one], &[]);
        let product = self.writer.node("Mul", &[x, &factor], &[]);
        self.writer.node("Mul", &[&product, &half], &[])
    }
}
