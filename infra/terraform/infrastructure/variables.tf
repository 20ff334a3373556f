variable "region" {
  description = "The AWS region; null for the one of your environment or profile."
  type        = string
  default     = null
}

variable "stage" {
  description = "Names the environment: dev, staging, production. It is the template's EnvironmentSuffix."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,11}$", var.stage))
    error_message = "A stage is up to 12 lower-case letters, digits and hyphens."
  }
}

variable "prefix" {
  description = "Comes before every physical name, so that a second stack fits into one account (\"staging-\")."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z][a-z0-9-]{0,15})?$", var.prefix))
    error_message = "A prefix is up to 16 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "retain" {
  description = "Protects the tables from deletion. Set to false, and apply, before you destroy."
  type        = bool
  default     = true
}

variable "parameters" {
  description = "Further parameters of the template, by their names there: { LogRetentionDays = \"90\" }. Lists are joined by commas."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.parameters), ["Prefix", "EnvironmentSuffix", "Retain"])) == 0
    error_message = "Prefix, EnvironmentSuffix and Retain are the variables prefix, stage and retain."
  }
}

variable "artifact_bucket" {
  description = "The bucket for template and packages; null for weaudit-artifacts-ACCOUNT-REGION, which the bootstrap makes."
  type        = string
  default     = null
}

variable "template" {
  description = "The template; null for the repository's own."
  type        = string
  default     = null
}

variable "packages" {
  description = "The folder of the functions' zips (`weaudit package --out`); null for dist/ of the repository."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the stack, which CloudFormation passes on to everything in it."
  type        = map(string)
  default     = {}
}

variable "endpoint_url" {
  description = "Only for the embedded engine: where it is (AWS_ENDPOINT_URL of `weaudit env`). null for AWS."
  type        = string
  default     = null
}
