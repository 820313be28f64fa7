# Arrow and Parquet in C++ as the target sinew_parquet: Apache's own packages where the system has them, else
# the shared libraries and headers of the pinned pyarrow wheel, which pip installs into a folder of the build
# tree at configure time (Debian has no libarrow). No Python runs after that.
# Sets `result` to the wheel's pyarrow folder of the virtual environment `venv`, or to "" unless it holds
# exactly `version`.
function(sinew_find_pyarrow venv version result)
  file(GLOB found "${venv}/lib/python3*/site-packages/pyarrow-${version}.dist-info/RECORD")
  set(${result} "" PARENT_SCOPE)
  if(found)
    list(GET found 0 record)
    get_filename_component(packages "${record}/../.." ABSOLUTE)
    if(EXISTS "${packages}/pyarrow/include/parquet/arrow/reader.h")
      set(${result} "${packages}/pyarrow" PARENT_SCOPE)
    endif()
  endif()
endfunction()

# Installs the wheel unless it is there; sets `result` to its folder. One configure at a time does it.
function(sinew_install_pyarrow result)
  find_program(SINEW_PYTHON3 NAMES python3 DOC "Python that fetches the pyarrow wheel at configure time")
  if(NOT SINEW_PYTHON3)
    message(FATAL_ERROR "Arrow is missing: install Apache's libparquet-dev, or python3 with the venv module so that "
                        "the pyarrow wheel can be fetched")
  endif()
  execute_process(COMMAND "${SINEW_PYTHON3}" -c "import sys; print('%d.%d' % sys.version_info[:2])"
                  OUTPUT_VARIABLE python_version OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(version 26.0.1)
  if(python_version VERSION_LESS 3.11)
    set(version 25.0.1)  # the last one with wheels for Python 3.10
  endif()

  sinew_deps_folder(deps)
  set(venv "${deps}/py")
  file(LOCK "${deps}/py.lock" GUARD FUNCTION TIMEOUT 900)

  sinew_find_pyarrow("${venv}" ${version} folder)
  if(NOT folder)
    message(STATUS "Installing pyarrow ${version} (Arrow and Parquet C++ libraries) into ${venv}")
    execute_process(COMMAND "${SINEW_PYTHON3}" -m venv --clear "${venv}" RESULT_VARIABLE failed)
    if(NOT failed)
      execute_process(COMMAND "${venv}/bin/python" -m pip install --quiet --only-binary :all: "pyarrow==${version}"
                      RESULT_VARIABLE failed)
    endif()
    sinew_find_pyarrow("${venv}" ${version} folder)
    if(failed OR NOT folder)
      message(FATAL_ERROR "Could not install pyarrow ${version} into ${venv} (output above). Needed: python3-venv, and "
                          "a package index or wheel folder that pip's own configuration names "
                          "(PIP_INDEX_URL, PIP_FIND_LINKS).")
    endif()
  endif()
  set(${result} "${folder}" PARENT_SCOPE)
endfunction()

find_package(Parquet CONFIG QUIET)
add_library(sinew_parquet INTERFACE)
if(Parquet_FOUND AND Parquet_VERSION VERSION_GREATER_EQUAL 24)  # the first with the interface that we call
  message(STATUS "Parquet: ${Parquet_DIR} (version ${Parquet_VERSION})")
  target_link_libraries(sinew_parquet INTERFACE Parquet::parquet_shared Arrow::arrow_shared)
else()
  sinew_install_pyarrow(SINEW_PYARROW)
  message(STATUS "Parquet: ${SINEW_PYARROW}")
  foreach(part parquet arrow)
    # The wheel has no unversioned names, and the version in the soname changes with each release.
    file(GLOB library "${SINEW_PYARROW}/lib${part}.so.*")
    if(NOT library)
      message(FATAL_ERROR "${SINEW_PYARROW} has no lib${part}.so.*: delete ${SINEW_PYARROW}/../../../.. and configure again")
    endif()
    list(GET library 0 library)
    add_library(sinew_${part}_shared SHARED IMPORTED GLOBAL)
    set_target_properties(sinew_${part}_shared PROPERTIES IMPORTED_LOCATION "${library}")
    target_link_libraries(sinew_parquet INTERFACE sinew_${part}_shared)
    install(FILES "${library}" DESTINATION lib/sinew)
  endforeach()
  target_include_directories(sinew_parquet SYSTEM INTERFACE "${SINEW_PYARROW}/include")
  # Programs of the build tree get the wheel's folder as RPATH from CMake; installed ones find the copies.
  list(APPEND CMAKE_INSTALL_RPATH "$ORIGIN/../lib/sinew")
endif()
