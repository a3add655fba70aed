"""libernie through its C interface alone, by ctypes: one call for texts that are there together, or a call each."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_float, c_int32, c_int64, c_size_t, c_uint32, c_void_p


class Str(ctypes.Structure):
    _fields_ = [("data", c_char_p), ("len", c_size_t)]


class Input(ctypes.Structure):
    _fields_ = [("text", Str), ("pair", Str)]


class Matrix(ctypes.Structure):
    _fields_ = [("data", POINTER(c_float)), ("n_rows", c_size_t), ("n_columns", c_size_t)]


class Tokens(ctypes.Structure):
    """ernie_tokens up to the ids; struct_size tells the library to write no further."""

    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("n_tokens", c_size_t), ("ids", POINTER(c_int64))]


def library(path):
    lib = ctypes.CDLL(str(path))
    lib.ernie_status_message.restype = c_char_p
    lib.ernie_runtime_info.restype = c_char_p
    lib.ernie_build_info.restype = c_char_p
    lib.ernie_options_new.restype = c_void_p
    for name in ("status_message", "status_free", "status_code", "options_free", "result_free"):
        getattr(lib, f"ernie_{name}").argtypes = [c_void_p]
    fallible = {
        "options_set": [c_void_p, c_char_p, c_char_p],
        "model_open": [c_char_p, c_void_p, POINTER(c_void_p)],
        "infer": [c_void_p, POINTER(Input), c_size_t, c_void_p, POINTER(c_void_p)],
        "result_matrix": [c_void_p, POINTER(Matrix)],
        "result_tokens": [c_void_p, c_size_t, POINTER(Tokens)],
    }
    for name, arguments in fallible.items():
        function = getattr(lib, f"ernie_{name}")
        function.argtypes, function.restype = arguments, c_void_p
    return lib


class Engine:
    modes = ("together", "single")
    caller_modes = ("direct",)

    def __init__(self, work, precision, threads, path, **options_more):
        self.lib = library(path)
        self.lib.ernie_status_code.restype = c_int32
        options = self.lib.ernie_options_new()
        for key, value in [("precision", precision), ("threads", str(threads)), *options_more.items()]:
            self.check(self.lib.ernie_options_set(options, key.encode(), value.encode()))
        self.model = c_void_p()
        self.check(self.lib.ernie_model_open(str(work / "model").encode(), options, byref(self.model)))
        self.lib.ernie_options_free(options)
        built, runtime = (getattr(self.lib, f"ernie_{n}_info")().decode() for n in ("build", "runtime"))
        self.version = f"{built}; {runtime.split(' at ')[0]}"

    def check(self, status):
        if status:
            message = self.lib.ernie_status_message(status).decode()
            self.lib.ernie_status_free(status)
            raise RuntimeError(message)

    def infer(self, texts):
        """The result's handle; the texts are encoded here, within the time measured."""
        inputs = (Input * len(texts))()
        for i, text in enumerate(texts):
            data = text.encode()
            inputs[i].text.data, inputs[i].text.len = data, len(data)
        result = c_void_p()
        self.check(self.lib.ernie_infer(self.model, inputs, len(texts), None, byref(result)))
        return result

    def rows(self, texts):
        result, matrix = self.infer(texts), Matrix()
        self.check(self.lib.ernie_result_matrix(result, byref(matrix)))
        n = matrix.n_columns
        rows = [matrix.data[i * n : (i + 1) * n] for i in range(matrix.n_rows)]
        self.lib.ernie_result_free(result)
        return rows

    def one(self, text):
        return self.rows([text])[0]

    def classify(self, texts, mode):
        return self.rows(texts) if mode == "together" else [self.one(text) for text in texts]

    def token_ids(self, texts):
        result, found = self.infer(texts), []
        for i in range(len(texts)):
            tokens = Tokens(ctypes.sizeof(Tokens))
            self.check(self.lib.ernie_result_tokens(result, i, byref(tokens)))
            found.append(tokens.ids[: tokens.n_tokens])
        self.lib.ernie_result_free(result)
        return found

    def callers(self, mode):
        return self
