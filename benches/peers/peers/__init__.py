"""The engines that are measured, a file each.

An engine has `modes`, the ways in which many texts can be given to it, and `caller_modes`, those for concurrent
callers. `classify(texts, mode)` gives the logits of texts in their order, `one(text)` those of one, `token_ids(texts)` what the
tokenizer made of them; `callers(mode)` is what concurrent callers share; `version` says what ran.
"""
