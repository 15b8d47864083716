"""A sentence is one printable line of at most 300 characters, whatever it quotes."""

from utils.run import errors
from utils.run.errors import DataError, UsageError, is_for_users, sentence


def test_long_sentences_lose_their_middle():
    said = str(DataError(f"a.npz holds {'x' * 100_000}; choose another file"))
    assert len(said) == 300 and said.startswith("a.npz holds xxx") and said.endswith("xxx; choose another file")
    assert " ... " in said
    for length in (299, 300):
        assert str(DataError("a" * length)) == "a" * length


def test_a_command_is_whole():
    command = f"python -m prepare.check {'x' * 400}"
    said = DataError("a" * 400, command)
    assert str(said) == sentence(said) == str(DataError("a" * 400)) + ": " + command


def test_what_is_no_letter_is_a_space():
    assert str(UsageError("a\nb\x1b[31mc\x00d\u2028e\udcff")) == "a b [31mc d e "
    assert str(DataError("走る 🏃 é")) == "走る 🏃 é"


def test_the_line_that_a_command_ends_with_is_as_long():
    for error in (DataError("a  b" * 999), ValueError("a\n" * 999), OSError(28, "No space left", "x" * 999)):
        assert len(sentence(error)) <= 300 and sentence(error).isprintable()


def test_a_disk_that_takes_a_part_of_an_array_is_full():
    said = sentence(OSError("11520 requested and 10208 written"))
    assert said.startswith("No space left on device; ") and "make room" in said


def test_too_little_memory_is_a_sentence_and_a_fault_of_the_program_is_not(monkeypatch):
    told = [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")]
    told.append(RuntimeError("could not create a primitive"))
    told.append(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    for error in told:
        assert is_for_users(error) and sentence(error).startswith("out of memory; lower ")
    for module, flag in (("sample.mas", "--max_batch"), ("train.train_mdm", "--train_batch_size")):
        monkeypatch.setattr(errors, "command_name", lambda module=module: module)
        assert f"lower {flag}" in sentence(MemoryError())
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RecursionError("maximum"), KeyError("a")):
        assert not is_for_users(error)
