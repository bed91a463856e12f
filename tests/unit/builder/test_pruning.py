"""Which images go when the disk is full."""

from spawner.builder.pruning import Disk, Made, to_go


def made(number: int, *names: str) -> Made:
    return Made(id=f"sha256:{number}", names=names, created=number)


OLD, MIDDLE, NEW, NAMELESS = made(1, "a:1"), made(2, "b:1", "b:2"), made(3, "a:2"), made(4)


def test_the_oldest_go_first() -> None:
    assert to_go([NEW, OLD, NAMELESS, MIDDLE], names=(), ids=()) == [OLD, MIDDLE, NEW, NAMELESS]


def test_what_is_in_use_by_name_stays_under_all_its_names() -> None:
    assert to_go([OLD, MIDDLE, NEW], names={"b:2", "other:1"}, ids=()) == [OLD, NEW]


def test_what_a_container_uses_stays_whatever_it_is_called() -> None:
    assert to_go([OLD, NAMELESS], names=(), ids={NAMELESS.id}) == [OLD]


def test_the_marks_are_percents_of_the_disk() -> None:
    disk = Disk(size=1000, used=850)

    assert not disk.is_above(85)
    assert disk.is_above(84.9)
    assert disk.beyond(75) == 100
    assert disk.beyond(90) == 0
