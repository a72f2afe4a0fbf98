"""From rounds to windows. `windows.WindowsStage` is the stage; `panes` holds the arithmetic, `sources` what is kept."""
