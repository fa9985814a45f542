"""Settings: options win over the environment, which wins over the file."""

from pathlib import Path

import pytest

from flchain.config import Secret, load_settings
from flchain.protocol.errors import ConfigError

HOME = Path("/nowhere/somebody")


def load(folder, options=None, environment=None):
    return load_settings(options or {}, environment or {}, folder, HOME)


def write(folder, text, name="flchain.toml"):
    (folder / name).write_text(text)


def test_settings__nothing_given__home_folder(tmp_path):
    assert load(tmp_path).data_dir == HOME / ".flchain"


def test_settings__in_a_checkout__its_own_folder(tmp_path):
    (tmp_path / "ape-config.yaml").touch()
    assert load(tmp_path).data_dir == tmp_path / ".flchain"


def test_settings__folder_has_data__uses_it(tmp_path):
    (tmp_path / ".flchain").mkdir()
    assert load(tmp_path).data_dir == tmp_path / ".flchain"


def test_settings__all_sources__option_wins(tmp_path):
    write(tmp_path, 'rpc = "file"\nstore = "file:a"\nchain_id = 1')
    environment = {"FLCHAIN_RPC": "environment", "FLCHAIN_STORE": "file:b"}
    settings = load(tmp_path, {"rpc": "option", "store": None}, environment)
    assert (settings.rpc, settings.store, settings.chain_id) == ("option", "file:b", 1)


def test_settings__number_in_the_environment__is_read(tmp_path):
    assert load(tmp_path, environment={"FLCHAIN_TASK": "3"}).task == 3


@pytest.mark.parametrize("value", ["three", "-1", "1.5", "0x1"])
def test_settings__not_a_number__names_the_setting(tmp_path, value):
    with pytest.raises(ConfigError, match="setting task"):
        load(tmp_path, environment={"FLCHAIN_TASK": value})


def test_settings__path_in_the_file__counts_from_the_file(tmp_path):
    (tmp_path / "etc").mkdir()
    write(tmp_path / "etc", 'keystore = "key.json"', "node.toml")
    settings = load(tmp_path, {"config": "etc/node.toml"})
    assert settings.keystore == tmp_path / "etc" / "key.json"


def test_settings__unknown_key__is_refused(tmp_path):
    write(tmp_path, 'rcp = "http://localhost"')
    with pytest.raises(ConfigError, match="'rcp' is not one of"):
        load(tmp_path)


def test_settings__password_in_the_file__is_refused(tmp_path):
    write(tmp_path, 'password = "hunter2"')
    with pytest.raises(ConfigError, match="use password_file") as caught:
        load(tmp_path)
    assert "hunter2" not in str(caught.value)


def test_settings__file_is_no_toml__names_the_file(tmp_path):
    write(tmp_path, "rpc = ")
    with pytest.raises(ConfigError, match=r"flchain\.toml is not valid TOML"):
        load(tmp_path)


def test_settings__named_file_is_missing__names_it(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        load(tmp_path, environment={"FLCHAIN_CONFIG": "nowhere.toml"})


def test_settings__printed__no_password(tmp_path):
    settings = load(tmp_path, environment={"FLCHAIN_PASSWORD": "hunter2"})
    assert settings.password == Secret("hunter2")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.password)
