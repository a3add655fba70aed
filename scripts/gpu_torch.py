"""PyTorch on the same weights and token counts, in f16 with scaled dot product attention, compiled; and its largest product."""

import json
import struct

import torch
from torch.nn import functional as F

BATCH_TOKENS = 32768


class Encoder(torch.nn.Module):
    """The network that scripts/gpu_check.py makes, as PyTorch would have it."""

    def __init__(self, path, device, dtype):
        super().__init__()
        config = json.loads((path / "config.json").read_text())
        self.n_layers, self.n_heads = config["num_hidden_layers"], config["num_attention_heads"]
        data = (path / "model.safetensors").read_bytes()
        (n,) = struct.unpack("<Q", data[:8])
        for name, entry in json.loads(data[8 : 8 + n]).items():
            begin, end = entry["data_offsets"]
            tensor = torch.frombuffer(bytearray(data[8 + n + begin : 8 + n + end]), dtype=torch.float32)
            tensor = tensor.reshape(entry["shape"]).to(device, dtype)
            self.register_buffer(name.replace(".", "_"), tensor)

    def w(self, name):
        return getattr(self, name.replace(".", "_"))

    def linear(self, x, name):
        return F.linear(x, self.w(f"{name}.weight"), self.w(f"{name}.bias"))

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.w(f"{name}.weight"), self.w(f"{name}.bias"), 1e-5)

    def forward(self, ids, mask):
        part = "ernie.embeddings."
        x = F.embedding(ids, self.w(part + "word_embeddings.weight"))
        x = x + self.w(part + "position_embeddings.weight")[: ids.shape[1]]
        x = x + self.w(part + "token_type_embeddings.weight")[0] + self.w(part + "task_type_embeddings.weight")[0]
        x = self.norm(x, part + "LayerNorm")
        rows, tokens, width = x.shape
        for i in range(self.n_layers):
            layer = f"ernie.encoder.layer.{i}."
            q, k, v = (
                self.linear(x, f"{layer}attention.self.{p}").view(rows, tokens, self.n_heads, -1).transpose(1, 2)
                for p in ("query", "key", "value")
            )
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            mixed = mixed.transpose(1, 2).reshape(rows, tokens, width)
            x = self.norm(x + self.linear(mixed, layer + "attention.output.dense"), layer + "attention.output.LayerNorm")
            inner = F.gelu(self.linear(x, layer + "intermediate.dense"))
            x = self.norm(x + self.linear(inner, layer + "output.dense"), layer + "output.LayerNorm")
        return self.linear(torch.tanh(self.linear(x[:, 0], "ernie.pooler.dense")), "classifier")


def batches(lengths, device):
    """Sorted by length, padded to a multiple of eight."""
    lengths, found = sorted(lengths), []
    while lengths:
        longest = -(-lengths[-1] // 8) * 8
        n = max(1, BATCH_TOKENS // longest)
        some, lengths = lengths[-n:], lengths[:-n]
        mask = torch.arange(longest)[None] < torch.tensor(some)[:, None]
        found.append((torch.full((len(some), longest), 5, device=device), mask[:, None, None].to(device)))
    return found


def measure(path, lengths, seconds, least):
    """Times by name, as gpu_check.py has them; without tokenization."""
    is_gpu = torch.cuda.is_available()
    device, dtype = ("cuda", torch.float16) if is_gpu else ("cpu", torch.float32)
    wait = torch.cuda.synchronize if is_gpu else lambda: None
    model, found = Encoder(path, device, dtype).eval(), {}
    forms = {"eager": model}
    if is_gpu:
        forms["compiled"] = torch.compile(model, dynamic=True)
    with torch.inference_mode():
        for form, network in forms.items():
            entry = {}
            for name, of in lengths.items():
                all_batches = batches(of[:1] if name == "single128" else of, device)

                def run():
                    for ids, mask in all_batches:
                        network(ids, mask)
                    wait()

                took = seconds(run, least)
                single = name == "single128"
                entry[f"{name}_ms" if single else f"{name}_tokens_per_ms"] = 1e3 * took if single else sum(of) / took / 1e3
            found[f"PyTorch {torch.__version__} {dtype} {form}"] = entry
        n = 8192 if is_gpu else 1024
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))

        def product():
            torch.mm(a, b)
            wait()

        found["PyTorch's largest product"] = {"tops": 2 * n**3 / seconds(product, least) / 1e12, "device": device}
    return found
