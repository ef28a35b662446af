"""scripts/finetune.py: refusals, one process against two, a real SIGKILL."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch
import transformers
from safetensors.torch import load_file

import checkpoints
import finetune
import torchnlp
from course.notebooks import ROOT

ENVIRONMENT = os.environ | {"TORCHNLP_DATA": "sample", "OMP_NUM_THREADS": "1"}
OPTIONS = ["--max-train-rows", "320", "--num-train-epochs", "1", "--max-length", "32", "--bf16", "false"]
OPTIONS += ["--save-steps", "10", "--logging-steps", "10"]
ONE = [sys.executable, "scripts/finetune.py", *OPTIONS]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *ONE[1:]]
TWO += ["--per-device-train-batch-size", "8"]  # the same batches of 16 as one process


def metrics(output):
    return json.loads((output / "metrics.json").read_text())


READERS = [(kind, "from_pretrained") for kind in (transformers.AutoConfig, transformers.AutoTokenizer)]
READ_ONCE = [(*reader, functools.cache(getattr(*reader))) for reader in [*READERS, (torchnlp, "load_dataset")]]


@pytest.fixture
def refusal(monkeypatch, tmp_path):
    """The line with which the script ends when it is given these options; to read weights would be an error."""
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    for place, name, function in READ_ONCE:
        monkeypatch.setattr(place, name, function)
    monkeypatch.setattr(transformers.AutoModelForSequenceClassification, "from_pretrained", None)

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["finetune.py", "--output-dir", str(tmp_path / "out"), *map(str, options)])
        with pytest.raises(SystemExit) as exit:
            finetune.main()
        message = str(exit.value)
        assert message.startswith("finetune.py: ") and "\n" not in message
        return message

    return run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num-train-epochs", 0], "--num-train-epochs must be above 0, not 0.0"),
        (["--num-train-epochs", "nan"], "--num-train-epochs must be above 0, not nan"),
        (["--learning-rate", -1], "--learning-rate must be above 0"),
        (["--learning_rate", 0], "--learning-rate must be above 0, not 0.0"),
        (["--learning-rate", "fast"], "invalid float value: 'fast'"),
        (["--per-device-train-batch-size", 0], "--per-device-train-batch-size must be above 0, not 0"),
        (["--max-train-rows", 0], "--max-train-rows must be above 0, not 0"),
        (["--save-steps", 0], "--save-steps must be above 0"),
        (["--seed", -1], "Seed must be between 0 and 2**32 - 1"),
        (["--bf16", "fp8"], "got fp8 but expected one of"),
        (["--warmup-steps", -1], "Expected value warmup_steps >= 0"),
        (["--rate", 1], "unknown options: --rate 1"),
        (["--freeze-layers", 7], "--freeze-layers must be from 0 to 6 for this model, not 7"),
        (["--freeze-layers", -1], "--freeze-layers must be from 0 to 6"),
        (["--max-length", 513], "--max-length must be from 3 to 512, not 513"),
        (["--max-length", 2], "--max-length must be from 3 to 512"),
        (["--model-name-or-path", ROOT / "images"], "images/ has no model.safetensors"),
        (["--data", "nowhere"], "--data names the folder 'nowhere', which does not exist"),
        (["--max-train-rows", 100_000], "there are only 1,393 training rows"),
        (["--max-train-rows", 10, "--num-train-epochs", 1], "10 rows are less than one batch of 16"),
        (["--output-dir", ROOT / "README.md"], "File exists"),
        (["--output-dir", ROOT / "README.md" / "x"], "Not a directory"),
        (["--output-dir", ROOT / "bert"], "--output-dir bert is not empty and not from an earlier run"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_before_weights_are_read(refusal, options, message):
    assert message in refusal(*options)


def test_a_gpu_without_bfloat16_and_more_processes_than_gpus_are_refused(refusal, monkeypatch):
    monkeypatch.setattr(finetune, "on_gpu", True)
    monkeypatch.setattr(finetune, "has_bf16", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "--bf16 true: this GPU cannot multiply bfloat16" in refusal("--bf16", "true")
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert "there are more processes than GPUs (2)" in refusal()


def test_another_process_is_silent_and_refuses_after_the_main_process(refusal, monkeypatch, capsys):
    waited = []
    monkeypatch.setattr(finetune, "is_main_process", False)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(finetune.time, "sleep", waited.append)
    assert "there are only 1,393" in refusal("--max-train-rows", 100_000)
    assert waited == [5]  # by then torchrun has ended it
    assert "Loading dataset" not in capsys.readouterr().out
    transformers.logging.enable_progress_bar()


def test_a_model_without_safetensors_or_tokenizer_or_known_layers_is_refused(refusal, tmp_path):
    folder = tmp_path / "model"
    transformers.BertConfig(num_hidden_layers=1).save_pretrained(folder)
    assert "model/ has no model.safetensors" in refusal("--model-name-or-path", folder)
    (folder / "model.safetensors").touch()
    assert "the tokenizer has 5 word pieces, the model 30,522" in refusal("--model-name-or-path", folder)


def test_a_second_run_does_not_write_to_the_same_folder(tmp_path):
    (tmp_path / "out").mkdir()
    holder = "import filelock, sys\nwith filelock.FileLock(sys.argv[1]): print('locked', flush=True); input()"
    command = [sys.executable, "-c", holder, str(tmp_path / "out" / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="the run in out/ is still running"):
            checkpoints.start_run(tmp_path / "out" / "finetune.json", {}, overwrite=False)
        other.communicate("\n")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, overwrite):
    (tmp_path / "settings.json").write_text('{"editor.fontSize": 14}')
    with pytest.raises(ValueError, match="is not empty and not from an earlier run"):
        checkpoints.start_run(tmp_path / "finetune.json", {"a": 1}, overwrite)
    assert [file.name for file in tmp_path.iterdir()] == ["settings.json"]


def test_overwriting_deletes_what_the_run_wrote_and_nothing_else(tmp_path):
    output, outside, settings = tmp_path / "out", tmp_path / "outside", {"a": 1}
    checkpoints.start_run(output / "finetune.json", settings, overwrite=True)  # a new folder: nothing to delete
    checkpoint(output, 10)
    written = ["config.json", "model.safetensors", "../outside"]  # settings that somebody has tampered with
    (output / "finetune.json").write_text(json.dumps(settings | {"files": written}))
    for name in ("config.json", "model.safetensors", "metrics.json", "notes.txt", "README.md", "../outside"):
        (output / name).write_text("{}")
    (output / ".partial-abc").mkdir()
    (output / "logs").mkdir()
    checkpoints.start_run(output / "finetune.json", {"a": 2}, overwrite=True)
    assert {path.name for path in output.iterdir()} - {".lock"} == {"finetune.json", "notes.txt", "README.md", "logs"}
    assert json.loads((output / "finetune.json").read_text()) == {"a": 2, "files": []}
    assert outside.is_file()


def test_a_run_resumes_only_with_its_own_settings_and_unless_it_is_finished(tmp_path):
    file = tmp_path / "finetune.json"
    checkpoints.start_run(file, {"seed": 1}, overwrite=False)
    checkpoints.start_run(file, {"seed": 1}, overwrite=False)
    with pytest.raises(ValueError, match=re.escape("had other settings: {'seed': 1}")):
        checkpoints.start_run(file, {"seed": 2}, overwrite=False)
    (tmp_path / "metrics.json").touch()
    with pytest.raises(ValueError, match="is finished, see metrics.json"):
        checkpoints.start_run(file, {"seed": 1}, overwrite=False)


STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")


def checkpoint(folder, step, files=STATES):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    transformers.TrainerState(global_step=step).save_to_json(str(path / "trainer_state.json"))
    for name in files:
        torch.save({"a": 1}, path / name)
    return path


def test_a_disk_too_full_for_the_checkpoints_is_said_before_the_training(tmp_path, monkeypatch):
    model = torch.nn.Sequential(torch.nn.Linear(1000, 999, bias=False), torch.nn.Linear(999, 1000, bias=False))
    model[0].requires_grad_(False)  # weights of 8 MB; with AdamW's two numbers for each that learns 16 MB
    (tmp_path / "checkpoint-10").write_bytes(bytes(10**6))  # will go
    usage = shutil.disk_usage(tmp_path)
    for free, kept, fits in ((55, 2, True), (54, 2, False), (8, 0, True), (6, 0, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free * 10**6))
        if fits:
            checkpoints.check_space(tmp_path, model, kept)
        else:
            with pytest.raises(ValueError, match=f"needs room for .* {free + 1} MB are free: make room"):
                checkpoints.check_space(tmp_path, model, kept)


def test_the_last_whole_checkpoint_is_found_and_all_others_go(tmp_path):
    assert checkpoints.last_checkpoint(tmp_path) is None
    checkpoint(tmp_path, 80, files=STATES[1:])  # half-deleted
    whole = checkpoint(tmp_path, 90)
    state = checkpoint(tmp_path, 100) / "trainer_state.json"
    checkpoint(tmp_path, 110, files=STATES[:2])
    cut = checkpoint(tmp_path, 120) / "rng_state.pth"
    cut.write_bytes(cut.read_bytes()[:-40])
    text = state.read_text()
    for length in range(len(text)):
        state.write_text(text[:length])
        assert checkpoints.last_checkpoint(tmp_path) == whole
    checkpoints.delete_other_checkpoints(whole, tmp_path)
    assert list(tmp_path.iterdir()) == [whole]


def test_a_checkpoint_counts_only_when_all_processes_have_written(tmp_path):
    first = checkpoint(tmp_path, 10, files=[*STATES[:2], "rng_state_0.pth", "rng_state_1.pth"])
    checkpoint(tmp_path, 20, files=[*STATES[:2], "rng_state_0.pth"])
    assert checkpoints.last_checkpoint(tmp_path, world_size=2) == first


def finish(command, output):
    done = subprocess.run([*command, "--output-dir", output], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def kill_after_a_checkpoint(command, output):
    """Start a run, end it by SIGKILL, and give back the processes that it had started."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--output-dir", output], cwd=ROOT, env=ENVIRONMENT, **silent) as run:
        limit = time.monotonic() + 120
        while not (output / "checkpoint-10" / "trainer_state.json").is_file():
            assert run.poll() is None and time.monotonic() < limit
            time.sleep(0.02)
        children = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGKILL)
    assert not (output / "metrics.json").exists()
    return children


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The output folder of an undisturbed run in one process."""
    output = tmp_path_factory.mktemp("one") / "model"
    finish(ONE, output)
    return output


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The output folder of an undisturbed run in two processes, and what was printed."""
    output = tmp_path_factory.mktemp("two") / "model"
    return output, finish(TWO, output)


@pytest.mark.slow
def test_a_run_learns_and_leaves_a_model_and_its_metrics(one):
    names = ["config.json", "finetune.json", "metrics.json", "model.safetensors", "tokenizer.json"]
    assert sorted(file.name for file in one.iterdir()) == [".lock", *names, "tokenizer_config.json"]
    figures = metrics(one)
    assert figures["accuracy"] > 0.7 and figures["interval"][0] < figures["accuracy"] < figures["interval"][1]
    assert 0 < figures["macro_f1"] < 1 and figures["loss"] < 1.2 and figures["rows_per_second"] > 0
    assert (figures["steps"], figures["train_rows"], figures["test_rows"]) == (20, 320, 347)
    assert str(ROOT) not in (one / "finetune.json").read_text() + (one / "config.json").read_text()


@pytest.mark.slow
def test_a_dry_run_forecasts_the_run_and_leaves_nothing(one, tmp_path):
    printed = finish([*ONE, "--dry-run"], tmp_path / "model")
    found = re.search(r"forecast for 320 rows, passes: 1, fp32:\n(\S+) \w+ of training .* about (\S+) GB", printed)
    assert "an assumption, not a measurement" in printed and float(found[1]) > 0 and 0.3 < float(found[2]) < 3
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_only_layers_that_are_not_frozen_have_changed_and_the_model_names_the_classes(one):
    before, after = load_file(ROOT / "bert" / "model.safetensors"), load_file(one / "model.safetensors")
    pairs = {name: (before[name.removeprefix("bert.")], after[name]) for name in after if name.startswith("bert.")}
    changed = {name for name, (old, new) in pairs.items() if not torch.equal(old.float(), new)}
    assert {name.split(".")[3] for name in changed if ".layer." in name} == {"4", "5"}
    assert {name for name in changed if ".layer." not in name} == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    model = transformers.AutoModelForSequenceClassification.from_pretrained(one).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(one)
    logits = model(**tokenizer("Goalkeeper saves two penalties in the final", return_tensors="pt")).logits
    assert model.config.id2label[logits.argmax().item()] == "Sports" and model.config.label2id["Sports"] == 1


@pytest.mark.slow
def test_two_processes_reach_what_one_reaches_and_report_the_same_loss(one, two):
    output, printed = two
    assert printed.count("Final accuracy") == printed.count("Loading dataset") == 1
    alone, both = metrics(one), metrics(output)
    assert both["world_size"] == 2
    assert alone["interval"][0] <= both["accuracy"] <= alone["interval"][1]
    for (step, loss), (same_step, other_loss) in zip(alone["training_loss"], both["training_loss"], strict=True):
        assert step == same_step
        assert other_loss == pytest.approx(loss, rel=0.15)  # not twice as large; dropout differs


@pytest.mark.slow
@pytest.mark.parametrize("command", [ONE, TWO], ids=["one", "two"])
def test_killed_and_started_again_it_ends_with_the_same_model(command, request, tmp_path):
    undisturbed = request.getfixturevalue("one") if command == ONE else request.getfixturevalue("two")[0]
    output = tmp_path / "model"
    orphans = kill_after_a_checkpoint(command, output)
    assert len(orphans) >= (2 if command == TWO else 0)
    assert not psutil.wait_procs(orphans, timeout=5)[1]
    partial = output / "checkpoint-999"  # and one that was just being written
    partial.mkdir()
    (partial / "trainer_state.json").write_text("{")

    assert "resuming from step " in finish(command, output)
    assert metrics(output)["resumed_from_step"] >= 10
    assert (output / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()
    for name in ("accuracy", "loss", "training_loss"):
        assert metrics(output)[name] == metrics(undisturbed)[name]
