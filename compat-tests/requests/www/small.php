<?php
echo 'small ', $_SERVER['PHP_SELF'] ?? '-', ' ', $_SERVER['PATH_INFO'] ?? '-', ' ', basename($_SERVER['SCRIPT_FILENAME'] ?? '-'), "\n";
