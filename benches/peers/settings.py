"""Who is measured: each setting is an engine in a precision, with the venv it runs in and the packages of that venv."""

from dataclasses import dataclass

# What each venv holds; every line is one call of pip, so that a package that cannot be had leaves the others.
# `newest` has no pin on purpose; the report tells what came.
VENVS = {
    "torch": [
        "numpy==2.4.6 transformers==5.24.0 tokenizers==0.23.3 safetensors==0.8.0 onnx==1.23.2 onnxscript==0.7.2",
        "torch==2.15.0",
        "ctranslate2==4.8.5",
        "openvino==2026.4.1",
        "nncf==3.4.0",
    ],
    "ort-1.28.0": ["onnxruntime==1.28.0 tokenizers==0.23.3 numpy==2.4.6"],
    "ort-newest": ["--upgrade onnxruntime tokenizers==0.23.3 numpy==2.4.6 onnx==1.23.2 sympy==1.14.0"],
    "paddle": ["paddlepaddle==2.6.2 numpy<2 setuptools tokenizers==0.23.3"],
}


@dataclass(frozen=True)
class Setting:
    engine: str  # as the report names it
    module: str  # of peers/
    precision: str
    venv: str | None  # None: any Python will do

    @property
    def name(self):
        return f"{self.engine} {self.precision}"


SETTINGS = [
    *(Setting("libernie", "libernie", precision, None) for precision in ("f32", "bf16", "int8")),
    *(Setting("ONNX Runtime 1.28.0", "onnxruntime", precision, "ort-1.28.0") for precision in ("f32", "int8")),
    *(Setting("ONNX Runtime newest", "onnxruntime", precision, "ort-newest") for precision in ("f32", "int8")),
    *(Setting("OpenVINO", "openvino", precision, "torch") for precision in ("f32", "bf16", "int8")),
    *(Setting("CTranslate2", "ctranslate2", precision, "torch") for precision in ("f32", "int8")),
    Setting("Paddle Inference", "paddle", "f32", "paddle"),
    *(Setting("PyTorch", "pytorch", precision, "torch") for precision in ("f32", "bf16")),
]

# What has to be made, in this order: name, venv, arguments of Python, and the modules that need it.
STEPS = [
    ("the model", "torch", ["model.py", "make"], {s.module for s in SETTINGS}),
    ("its reference", "torch", ["model.py", "reference"], {s.module for s in SETTINGS}),
    ("its ONNX graph", "torch", ["model.py", "export"], {"onnxruntime", "openvino"}),
    ("ONNX Runtime's files", "ort-newest", ["-m", "peers.onnxruntime"], {"onnxruntime"}),
    ("OpenVINO's files", "torch", ["-m", "peers.openvino"], {"openvino"}),
    ("CTranslate2's files", "torch", ["-m", "peers.ctranslate2"], {"ctranslate2"}),
    ("Paddle's files", "paddle", ["-m", "peers.paddle"], {"paddle"}),
]
