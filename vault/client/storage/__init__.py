"""The parts of ``vault.client.files``: requests, the folder on the disk, reading, writing."""
