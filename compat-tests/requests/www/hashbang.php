#!/usr/bin/php
<?php echo "after the hash-bang ", __LINE__;
