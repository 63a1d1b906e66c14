# Writes files as C: cmake -DOUT=x.c -DROOT=folder -DFILES=a,b -P embed.cmake. The names are
# relative to ROOT.
string(REPLACE "," ";" files "${FILES}")
set(arrays "")
set(rows "")
set(number 0)
foreach(file ${files})
  file(READ "${ROOT}/${file}" bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const unsigned char text_${number}[] = {${bytes}0};\n")
  string(APPEND rows "    {\"${file}\", {(const char *)text_${number}, sizeof(text_${number}) - 1}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}" "/* SPDX-License-Identifier: MIT */\n#include \"cli/embedded.h\"\n\n${arrays}\n"
  "const struct mp__embedded mp__embedded[] = {\n${rows}    {NULL, {NULL, 0}}};\n")
