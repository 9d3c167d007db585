@echo off
rem Everything, from an empty checkout to a verdict:  run.bat [options of aasist_training.py]
rem The tests:                                        run.bat test [options of pytest]
rem A run with a name of its own:                     set RUN_NAME=mine, then run.bat --seed 2
rem After a stop, the same command resumes.
setlocal
cd /d "%~dp0"
if not defined RUN_NAME set "RUN_NAME=default"
set "FIRST=%~1"
set "CODE=0"
if /i "%FIRST%"=="test" goto install
for %%a in (%*) do (
    if "%%~a"=="-h" goto usage
    if "%%~a"=="--help" goto usage
)
set "CODE=2"
if defined FIRST if not "%FIRST:~0,2%"=="--" (
    echo error: %FIRST% is no option, and not the word test
    goto usage
)
for %%a in (%*) do for %%b in (run_name seeds data_dir checkpoint_dir results_dir) do if "%%~a"=="--%%b" (
    echo error: %%a is for the training alone: run the steps one by one, or set RUN_NAME
    goto usage
)

:install
if not defined VIRTUAL_ENV (
    if not exist .venv\Scripts\python.exe (
        echo ^> python -m venv .venv
        python -m venv .venv || exit /b 1
    )
    call .venv\Scripts\activate.bat
)
echo Installing packages. The first time this takes some minutes and gigabytes, and prints nothing.
@echo on
python -m pip install --quiet --disable-pip-version-check -r requirements.txt || exit /b 1
@if /i "%~1"=="test" goto tests
@rem wrong options end it here
@python -c "from notebooks.aasist_training import parse; parse()" --small_model --resume %* || exit /b 2
python utils\prepare_dataset.py || exit /b 1
python utils\preprocess_data.py --subset all || exit /b 1
python notebooks\aasist_training.py --small_model --device cpu --test --resume --run_name "%RUN_NAME%" %* || exit /b 1
python utils\simplified_inference.py --input_file "results\%RUN_NAME%\examples" --model "models\checkpoints\%RUN_NAME%\best.onnx" --force_cpu || exit /b 1
@echo off
echo.
echo Done. These files are new:
echo   models\checkpoints\%RUN_NAME%\best.onnx   the detector
echo   results\%RUN_NAME%\metrics.json          its figures
echo   results\%RUN_NAME%\report.html           the report: open it in a browser
echo To judge your own recording with the pretrained model (without --model: with the new one):
echo   python utils\simplified_inference.py --input_file FILE --model models\pretrained\detector.onnx --force_cpu
exit /b 0

:tests
@for /f "tokens=1,*" %%a in ("%*") do @set "PYTEST_OPTIONS=%%b"
python -m pytest -n 2 --dist loadfile %PYTEST_OPTIONS%
@exit /b %errorlevel%

:usage
for /f "tokens=1,*" %%a in ('findstr /b "rem" run.bat') do echo %%b
exit /b %CODE%
