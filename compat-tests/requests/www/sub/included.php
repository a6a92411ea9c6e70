<?php return "included from " . basename(__DIR__);
