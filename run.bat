@echo off
rem From an empty checkout to a trained, evaluated detector and a verdict: run.bat [options of aasist_training.py]
rem The tests: run.bat test [options of pytest]. Stopped anywhere, the same command goes on.
rem Each run has a name: set RUN_NAME=mine before run.bat --seed 2
setlocal
cd /d "%~dp0"
if not defined RUN_NAME set "RUN_NAME=default"

if not defined VIRTUAL_ENV (
    if not exist .venv\Scripts\python.exe (
        echo ^> python -m venv .venv
        python -m venv .venv || exit /b 1
    )
    call .venv\Scripts\activate.bat
)
echo The packages: some minutes and gigabytes the first time, in silence.
@echo on
python -m pip install --quiet --disable-pip-version-check -r requirements.txt || exit /b 1
@if /i "%~1"=="test" goto tests
python utils\prepare_dataset.py || exit /b 1
python utils\preprocess_data.py --subset all || exit /b 1
python notebooks\aasist_training.py --small_model --device cpu --test --resume --run_name "%RUN_NAME%" %* || exit /b 1
python utils\simplified_inference.py --input_file "results\%RUN_NAME%\examples" --model "models\checkpoints\%RUN_NAME%\best.onnx" --force_cpu || exit /b 1
@echo off
echo.
echo Done. Made:
echo   models\checkpoints\%RUN_NAME%\best.onnx   the detector
echo   results\%RUN_NAME%\metrics.json          its figures
echo   results\%RUN_NAME%\report.html           the report: open it in a browser
echo Your own recording, judged by the model in the box (without --model: by the one just trained):
echo   python utils\simplified_inference.py --input_file FILE --model models\pretrained\detector.onnx --force_cpu
exit /b 0

:tests
@for /f "tokens=1,*" %%a in ("%*") do @set "PYTEST_OPTIONS=%%b"
python -m pytest %PYTEST_OPTIONS%
@exit /b %errorlevel%
