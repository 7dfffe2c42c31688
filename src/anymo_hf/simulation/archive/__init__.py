"""The archive: segment motion of many recordings on disk, from which any placement's IMU follows."""
