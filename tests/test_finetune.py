"""scripts/finetune.py: refusals, order of the rows, one process against two, a real SIGKILL."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import torch
import transformers
from safetensors.torch import load_file

import checkpoints
import finetune
from course.files import atomic_write
from course.notebooks import ROOT

ENVIRONMENT = os.environ | {"TORCHNLP_DATA": "sample", "OMP_NUM_THREADS": "1"}
RUN = [
    *("scripts/finetune.py", "--rows", "640", "--epochs", "1.5", "--batch", "16", "--longest", "48"),
    *("--precision", "fp32", "--save-every", "10"),
]


def finish(*command):
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The output folder of an undisturbed run in one process."""
    folder = tmp_path_factory.mktemp("one") / "model"
    finish(*RUN, "--output", str(folder))
    return folder


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Give the script options; reading weights would fail the test."""

    def give(*options):
        monkeypatch.setattr(sys, "argv", ["finetune.py", "--output", str(tmp_path / "out"), *map(str, options)])
        with pytest.raises(SystemExit) as refused:
            finetune.main()
        return str(refused.value)

    def no_weights(*_, **__):
        raise AssertionError("weights were read")

    monkeypatch.setattr(transformers.AutoModelForSequenceClassification, "from_pretrained", no_weights)
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    return give


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", 0], "--epochs must be above 0, not 0.0"),
        (["--epochs", "nan"], "--epochs must be above 0, not nan"),
        (["--rate", -1], "--rate must be above 0"),
        (["--rate", 0], "--rate must be above 0, not 0.0"),
        (["--seed", -1], "--seed is a number from 0 to 4294967295, not -1"),
        (["--output", ROOT / "README.md" / "x"], "--output x cannot be written: Not a directory"),
        (["--rate", "fast"], "invalid float value: 'fast'"),
        (["--batch", 0], "--batch must be above 0, not 0"),
        (["--rows", 0], "--rows must be above 0, not 0"),
        (["--save-every", 0], "--save-every must be above 0"),
        (["--freeze", 7], "--freeze is a number from 0 to 6, the layers of this model, not 7"),
        (["--freeze", -1], "--freeze is a number from 0 to 6"),
        (["--longest", 513], "--longest is a number from 3 to 512 for this model, not 513"),
        (["--longest", 2], "--longest is a number from 3 to 512"),
        (["--precision", "fp8"], "invalid choice: 'fp8'"),
        (["--data", "nowhere"], "--data names the folder 'nowhere', which does not exist"),
        (["--rows", 100_000], "there are only 1,393 training rows"),
        (["--rows", 10, "--epochs", 1], "10 rows x 1 epochs are less than one batch of 16"),
        (["--model", ROOT / "images"], "--model images: there is no model.safetensors in that folder"),
        (["--output", ROOT / "README.md"], "--output README.md is a file; name a folder"),
        (["--output", ROOT / "bert"], "--output bert is not empty and not from an earlier run"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_before_weights_are_read(command, options, message):
    assert message in command(*options)


def test_a_batch_that_the_processes_cannot_share_is_refused(command, monkeypatch):
    monkeypatch.setattr(finetune, "PROCESSES", 3)
    assert "16 cannot be shared evenly by 3" in command()


def test_another_process_speaks_only_if_the_first_does_not(command, monkeypatch):
    waited = []
    monkeypatch.setattr(finetune, "FIRST", False)
    monkeypatch.setattr(finetune.time, "sleep", waited.append)
    assert "--epochs must be above 0" in command("--epochs", 0)
    assert waited == [5]  # by then torchrun has ended it


def test_a_model_without_safetensors_or_tokenizer_is_refused(command, tmp_path):
    folder = tmp_path / "model"
    transformers.BertConfig(num_hidden_layers=1).save_pretrained(folder)
    assert "there is no model.safetensors in that folder" in command("--model", folder)
    (folder / "model.safetensors").touch()
    assert "its tokenizer has 5 pieces, the model 30,522" in command("--model", folder)


def test_a_folder_with_other_settings_of_its_own_is_not_deleted(command, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "settings.json").write_text('{"editor.fontSize": 14}')
    assert "not empty and not from an earlier run" in command("--no-resume")
    assert (tmp_path / "out" / "settings.json").is_file()


def test_a_second_run_does_not_write_to_the_same_folder(command, tmp_path, monkeypatch):
    holder = f"import finetune, pathlib; finetune.hold(pathlib.Path({str(tmp_path / 'out')!r})); print('held'); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder],
        cwd=ROOT / "scripts",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        assert "another run is writing to out/" in command()
        other.communicate("\n")


# --- order of the rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "epochs", "batch"), [(500, 2, 8), (37, 3, 4), (200, 0.5, 16), (801, 1.5, 8)])
def test_order_reads_every_row_once_per_pass_in_batches_of_similar_length(count, epochs, batch):
    lengths = torch.randint(5, 97, (count,), generator=torch.Generator().manual_seed(count)).tolist()
    order = finetune.training_order(lengths, epochs, batch, seed=1)
    assert order == finetune.training_order(lengths, epochs, batch, seed=1)
    assert order != finetune.training_order(lengths, epochs, batch, seed=2)
    assert len(order) == int(count * epochs) // batch * batch
    uses, most = Counter(order), math.ceil(epochs)
    assert {uses[i] for i in range(count)} <= {most, most - 1}  # the last pass may be cut short
    if count > 100:
        spread = [max(lengths[i] for i in part) - min(lengths[i] for i in part) for part in batches(order, batch)]
        assert sum(spread) / len(spread) < 20  # more than 70 if drawn at random


def batches(order, size):
    return [order[i : i + size] for i in range(0, len(order), size)]


def test_drawn_rows_are_the_same_for_the_same_seed():
    rows = [(1, str(i)) for i in range(100)]
    assert finetune.draw(rows, 20, 0) == finetune.draw(rows, 20, 0) != finetune.draw(rows, 20, 1)
    assert len(set(finetune.draw(rows, 100, 0))) == 100


@pytest.mark.parametrize(
    "config",
    [
        transformers.BertConfig(num_hidden_layers=3, hidden_size=24, num_attention_heads=3, intermediate_size=8),
        transformers.RobertaConfig(num_hidden_layers=3, hidden_size=24, num_attention_heads=3, intermediate_size=8),
        transformers.DistilBertConfig(n_layers=3, dim=24, n_heads=3, hidden_dim=8),
        transformers.ElectraConfig(num_hidden_layers=3, hidden_size=24, num_attention_heads=3, intermediate_size=8),
    ],
    ids=lambda config: config.model_type,
)
def test_layers_of_bert_like_models_are_found(config):
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    assert len(finetune.layers_of(model)) == 3
    assert sum(p.numel() for p in model.base_model.embeddings.parameters()) > 1000


# --- runs -----------------------------------------------------------------------------------------------------------


def test_a_run_learns_and_leaves_a_model_and_its_figures(one):
    assert sorted(file.name for file in one.iterdir()) == [
        "config.json", "metrics.json", "model.safetensors", "settings.json", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    figures = metrics(one)
    assert figures["accuracy"] > 0.85 and figures["interval"][0] < figures["accuracy"] < figures["interval"][1]
    assert figures["steps"] == 60 and figures["rows"] == 640 and figures["test_rows"] == 347
    assert str(ROOT) not in (one / "settings.json").read_text() + (one / "config.json").read_text()


def test_only_layers_that_are_not_frozen_have_changed(one):
    before, after = load_file(ROOT / "bert" / "model.safetensors"), load_file(one / "model.safetensors")
    changed = {
        name.split(".")[3] if ".layer." in name else name.split(".")[1]
        for name in after
        if name.startswith("bert.") and not torch.equal(before[name.removeprefix("bert.")].float(), after[name])
    }
    assert changed == {"4", "5", "pooler"}


def test_the_model_can_be_loaded_and_names_the_classes(one):
    model = transformers.AutoModelForSequenceClassification.from_pretrained(one)
    tokenizer = transformers.AutoTokenizer.from_pretrained(one)
    scores = model.eval()(**tokenizer("Goalkeeper saves two penalties in the final", return_tensors="pt")).logits
    assert model.config.id2label[scores.argmax().item()] == "Sports"


def test_two_processes_reach_what_one_reaches_and_report_the_same_loss(one, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    said = finish(*launcher, *RUN, "--output", str(tmp_path / "two"))
    assert said.count("Final accuracy") == 1
    alone, both = metrics(one), metrics(tmp_path / "two")
    assert both["processes"] == 2
    assert alone["interval"][0] <= both["accuracy"] <= alone["interval"][1]
    for (step, loss), (same_step, other_loss) in zip(alone["training_loss"], both["training_loss"], strict=True):
        assert step == same_step
        assert other_loss == pytest.approx(loss, rel=0.15)  # not twice as large; dropout differs


def test_killed_and_started_again_it_ends_with_the_same_model(one, tmp_path):
    output = tmp_path / "model"
    killed = subprocess.Popen(
        [sys.executable, *RUN, "--output", str(output)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    patience = time.monotonic() + 120
    while not (output / "checkpoints" / "checkpoint-20" / "trainer_state.json").is_file():
        assert killed.poll() is None and time.monotonic() < patience
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (output / "metrics.json").exists()
    half = output / "checkpoints" / "checkpoint-999"  # and one that was just being written
    half.mkdir()
    (half / "trainer_state.json").write_text("{")

    assert "going on from step " in finish(*RUN, "--output", str(output))
    assert metrics(output)["went_on_from_step"] >= 20
    assert (output / "model.safetensors").read_bytes() == (one / "model.safetensors").read_bytes()
    for name in ("accuracy", "test_loss", "training_loss"):
        assert metrics(output)[name] == metrics(one)[name]


def test_a_finished_run_and_one_with_other_settings_are_not_written_over(one, command):
    before = (one / "model.safetensors").stat().st_mtime_ns
    options = [*RUN[1:], "--output", one]
    assert f"this run is finished, its accuracy is {metrics(one)['accuracy']:.4f}" in command(*options)
    assert "had other settings: {'rate': 0.0003}" in command(*options, "--rate", 0.1)
    assert (one / "model.safetensors").stat().st_mtime_ns == before


# --- whole checkpoints ----------------------------------------------------------------------------------------------

STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
TWO = ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth")


def checkpoint(folder, step, state='{"global_step": 1}', files=STATES):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "trainer_state.json").write_text(state)
    for name in files:
        torch.save({"a": 1}, path / name)
    return path


def test_the_last_whole_checkpoint_is_found_and_all_others_go(tmp_path):
    assert checkpoints.last_checkpoint(tmp_path) is None
    checkpoint(tmp_path, 80, files=STATES[1:])  # half-deleted
    whole = checkpoint(tmp_path, 90)
    checkpoint(tmp_path, 100, state='{"global_st')
    checkpoint(tmp_path, 110, files=STATES[:2])
    cut = checkpoint(tmp_path, 120) / "rng_state.pth"
    cut.write_bytes(cut.read_bytes()[:-40])
    assert checkpoints.last_checkpoint(tmp_path) == whole
    checkpoints.delete_other_checkpoints(whole, tmp_path)
    assert list(tmp_path.iterdir()) == [whole]


def test_a_checkpoint_counts_only_when_all_processes_have_written(tmp_path):
    first = checkpoint(tmp_path, 10, files=TWO)
    checkpoint(tmp_path, 20, files=TWO[:-1])
    assert checkpoints.last_checkpoint(tmp_path, processes=2) == first


def test_files_are_put_in_place_only_when_all_are_written(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path) as folder:
        (folder / "a").write_text("new")
        raise ZeroDivisionError
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "old")]
    with atomic_write(tmp_path) as folder:
        (folder / "a").write_text("new")
    assert (tmp_path / "a").read_text() == "new" and len(list(tmp_path.iterdir())) == 1


FILES = ["settings.json", "config.json", "model.safetensors", "metrics.json"]
LEFT = [  # settings.json is written before there are checkpoints
    (files, folders)
    for files in [*(FILES[:count] for count in range(5)), ["settings.json", "model.safetensors"]]
    for folders in ([], [".partial-abc"], ["checkpoints"], ["checkpoints", ".partial-old"])
    if files or "checkpoints" not in folders
]


@pytest.mark.parametrize(("files", "folders"), LEFT)
def test_whatever_a_kill_leaves_of_a_run_is_known_as_one_and_can_be_deleted(files, folders, tmp_path):
    for name in folders:
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / "file").touch()
    for name in files:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text('{"rows_sha256": "1"}')
    finetune.check_output(tmp_path / "out")  # does not refuse
    finetune.delete_run(tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))
