"""What ``exercise watch`` knows and does, apart from the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.learning.answer import Answer, mistakes
from makemore_bp.learning.exercises.checking import Progress

Judge = Callable[[int], Progress]
# The passes that the exercises ask for, and the gradient that 2 and 3 are about.
_NETWORKS: dict[int, dict[str, str]] = {
    2: {"cross_entropy": "fused"},
    3: {"batchnorm": "fused"},
    4: {"cross_entropy": "fused", "batchnorm": "fused"},
}
_ASKED = {2: ("dlogits",), 3: ("dhprebn",)}


class Session:
    """The exercises that are watched, by number; how far each is; and which is worked on."""

    def __init__(self, files: Mapping[int, Path], judge: Judge) -> None:
        self.files, self._judge = files, judge
        self.progress: dict[int, Progress] = {}
        self.refused: dict[int, str] = {}
        self.current = next(iter(files))

    def begin(self) -> None:
        """Looks at one exercise after another, to the first that is not done."""
        for number in self.files:
            self.current = number
            self.look(number)
            if not self.done(number):
                return

    def look(self, number: int) -> None:
        """Judges an exercise as it is now; what cannot be read is told in ``refused``."""
        self.refused.pop(number, None)
        try:
            self.progress[number] = self._judge(number)
        except RequestError as error:
            self.progress.pop(number, None)
            self.refused[number] = str(error)

    def saved(self, path: Path) -> None:
        """A file was saved: it is looked at, and worked on from now on."""
        number = next(number for number, file in self.files.items() if file == path)
        self.current = number
        self.look(number)

    def go_on(self) -> None:
        """To the next exercise that is not done; if all are, to the next in order."""
        numbers = list(self.files)
        at = numbers.index(self.current) + 1
        following = [*numbers[at:], *numbers[:at]]
        self.current = next(filter(self._left, following), following[0])

    def _left(self, number: int) -> bool:
        """Whether an exercise is still to be done, once it was looked at."""
        if number not in self.progress:
            self.look(number)
        return not self.done(number)

    def look_at_the_rest(self) -> None:
        """Looks at those that were not looked at yet."""
        for number in self.files:
            self._left(number)

    def done(self, number: int) -> bool:
        """Whether an exercise is complete, as far as is known."""
        return number in self.progress and self.progress[number].complete

    @property
    def answer(self) -> Answer | None:
        """What was found in the current exercise, if its gradients were judged."""
        found = self.progress.get(self.current)
        answer = found.answer if found is not None else None
        return answer if answer is not None and "tensors" in answer else None

    def topic(self) -> str | None:
        """The gradient that a hint is about: the first that is wrong, or else the next."""
        answer = self.answer
        if answer is None:
            return None
        first = next((tensor["name"] for tensor in mistakes(answer)), None)
        following: str | None = answer["next"]
        return f"d{first}" if first is not None else following

    def derivation(self) -> str | None:
        """The derivation of that gradient, in Markdown."""
        from makemore_bp.gradcheck import derivations

        topic = self.topic()
        return derivations.explain(topic) if topic is not None else None

    def hint(self) -> str | None:
        """Its idea, without the answer."""
        from makemore_bp.network.passes import Network

        topic = self.topic()
        if topic is None:
            return None
        wanted = "fused" if topic in _ASKED.get(self.current, ()) else "op-by-op"
        rules = {
            rule.__name__: rule for rule in Network.of(cross_entropy=wanted, batchnorm=wanted).rules
        }
        if topic not in rules:
            return None
        idea = " ".join((rules[topic].__doc__ or "").split("\n\n")[0].split())
        return f"{topic}: {idea}"

    def solution(self) -> str | None:
        """The lines of the current exercise, once it is done."""
        if not self.done(self.current):
            return None
        return "\n".join(_solution(self.current))


def _solution(exercise: int) -> Iterator[str]:
    from makemore_bp.gradcheck import derivations
    from makemore_bp.network.batchnorm import EPS
    from makemore_bp.network.passes import Network

    asked = _ASKED.get(exercise)
    for rule in Network.of(**_NETWORKS.get(exercise, {})).rules:
        if asked is None or rule.__name__ in asked:
            yield derivations.line(rule).replace("EPS", str(EPS))
