<?php echo "broken
