import torch

from antiphon.search.log_probabilities import LogProbabilities


def test_steps_share_one_place_and_rows_may_leave():
    normalize = LogProbabilities()
    with torch.inference_mode():
        first = torch.randn(5, 7)
        found = normalize(first)
        assert torch.equal(found, first.log_softmax(-1))
        second = torch.randn(3, 7)
        again = normalize(second)
        assert torch.equal(again, second.log_softmax(-1))
        assert again.data_ptr() == found.data_ptr()
        wider = torch.randn(3, 9)
        assert torch.equal(normalize(wider), wider.log_softmax(-1))


def test_half_precision_is_widened_and_gradients_have_memory_of_their_own():
    normalize = LogProbabilities()
    with torch.inference_mode():
        assert normalize(torch.randn(2, 5, dtype=torch.bfloat16)).dtype == torch.float32
    logits = torch.randn(2, 5, requires_grad=True)
    normalize(logits)[0, 0].backward()
    assert logits.grad is not None
