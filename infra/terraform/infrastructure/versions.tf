terraform {
  # 1.10 locks a state that is kept in S3 by S3 itself.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0" # the one that was tried, from first plan to destroy; your own lock file holds its digests
    }
  }
}

# Credentials and profile come from where every AWS tool takes them.
provider "aws" {
  region = var.region

  # All that follows is for the embedded engine, which is one address on this machine; on AWS it says nothing.
  s3_use_path_style           = var.endpoint_url != null
  skip_credentials_validation = var.endpoint_url != null
  skip_metadata_api_check     = var.endpoint_url != null
  skip_region_validation      = var.endpoint_url != null

  endpoints {
    cloudformation = var.endpoint_url
    s3             = var.endpoint_url
    sts            = var.endpoint_url
  }
}
