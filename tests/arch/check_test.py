#!/usr/bin/env python3
"""check.py on small trees that break each rule."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check  # noqa: E402


class Trees(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_layers(self):
        self.write("sapi/ftm_engine.h", "")
        self.write("src/fcgi/a.cpp", '#include "net/output.hpp"\n')
        self.write("src/php/b.cpp", '#include "php/runtime.hpp"\n#include "ftm_engine.h"\n#include <vector>\n')
        self.write("src/php/c.cpp", "#include <php.h>\n#include <Zend/zend.h>\n#  include <main/SAPI.h>\n")
        self.write("src/net/d.cpp", '#include "ftm_engine.h"\n#include "listener.hpp"\n')
        self.write("src/elsewhere/e.cpp", "")
        found = "\n".join(check.layers(self.root))
        for words in ("src/fcgi/a.cpp:1", "src/php/c.cpp:1", "src/php/c.cpp:2", "src/php/c.cpp:3", "src/net/d.cpp:1",
                      "src/net/d.cpp:2", "elsewhere is not in the table"):
            self.assertIn(words, found)
        self.assertNotIn("b.cpp", found)
        self.assertEqual(found.count("\n"), 6)

    def test_sizes(self):
        check_list, check.LONGER = check.LONGER, {}
        self.write("src/base/long.cpp", "\n" * 401)
        self.write("src/base/short.cpp", "\n" * 400)
        found = check.sizes(self.root)
        check.LONGER = check_list
        self.assertEqual(len(found), 1)
        self.assertIn("long.cpp", found[0])

    def test_headers(self):
        self.write("src/base/good.hpp", "#pragma once\n#include <string>\nstd::string f();\n")
        self.write("src/base/bad.hpp", "std::string g();\n")
        self.write("sapi/cplusplus.h", "int f(int) noexcept;\n")
        found = "\n".join(check.headers(self.root, None, "c++"))
        self.assertIn("bad.hpp", found)
        self.assertIn("cplusplus.h as c:", found)
        self.assertNotIn("good.hpp", found)

    def test_wall(self):
        build = self.root / "build"
        self.write("src/php/a.cpp", 'extern "C" void zend_bailout(); extern "C" void ftm_run(); extern "C" void zf();\n'
                                    "void a() { zend_bailout(); ftm_run(); zf(); }\n")
        self.write("src/php/b.cpp", "#include <csetjmp>\nstd::jmp_buf j; int b() { return setjmp(j); }\n")
        self.assertEqual(check.wall(self.root, build), check.SKIPPED)
        for name in ("a", "b"):
            item = build / f"CMakeFiles/ftm_php.dir/src/php/{name}.cpp.o"
            item.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["c++", "-c", self.root / f"src/php/{name}.cpp", "-o", item], check=True)
        found = "\n".join(check.wall(self.root, build))
        self.assertIn("a.cpp refers to zend_bailout", found)
        self.assertIn("b.cpp refers to _setjmp", found)
        self.assertEqual(found.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
