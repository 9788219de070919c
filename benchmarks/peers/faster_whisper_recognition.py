"""faster-whisper on the same recordings: greedy, no times, one try, one recording after the other, as it offers for single recordings."""

import argparse

from faster_whisper import WhisperModel
from recordings import Slices
from worker import Ready, serve


def set_up(folder: str, compute: str, slices: Slices) -> Ready:
    """The model, after one recording."""
    model = WhisperModel(folder, device="cpu", compute_type=compute, cpu_threads=1)

    def one(path: str) -> str:
        segments, _ = model.transcribe(
            path,
            language="en",
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            no_speech_threshold=None,
            log_prob_threshold=None,
            compression_ratio_threshold=None,
        )
        return " ".join(segment.text.strip() for segment in segments)

    one(slices.paths[0])
    return Ready({"recordings": slices.task(lambda paths: [one(path) for path in paths])})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--compute-type", default="int8")
    Slices.add_to(parser)
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen.folder, chosen.compute_type, Slices.of(chosen)))
