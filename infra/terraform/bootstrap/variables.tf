variable "region" {
  description = "The AWS region; null for the one of your environment or profile."
  type        = string
  default     = null
}

variable "stage" {
  description = "The stage that a pipeline will deploy: dev, staging, production."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,11}$", var.stage))
    error_message = "A stage is up to 12 lower-case letters, digits and hyphens."
  }
}

variable "prefix" {
  description = "The prefix of the stack that a pipeline will deploy, as the infrastructure has it."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z][a-z0-9-]{0,15})?$", var.prefix))
    error_message = "A prefix is up to 16 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "github_repository" {
  description = "The repository (OWNER/NAME) whose workflows may deploy; null where no workflow on GitHub does."
  type        = string
  default     = null
}

variable "github_repository_id" {
  description = "The repository's number (`gh api repos/OWNER/NAME --jq .id`), which a new one of the same name does not get."
  type        = string
  default     = null

  validation {
    condition     = (var.github_repository == null) == (var.github_repository_id == null)
    error_message = "github_repository and github_repository_id go together."
  }
}

variable "oidc_provider_arn" {
  description = "The account's provider for GitHub's tokens, of which there can be one only; null to make it."
  type        = string
  default     = null
}

variable "create_artifact_bucket" {
  description = "Set to false where the account has the bucket already, from another stage or from `weaudit deploy`."
  type        = bool
  default     = true
}

variable "create_kms_key" {
  description = "Makes a key for the stage's data and logs, to be given to the infrastructure as KmsKeyArn."
  type        = bool
  default     = false
}

variable "parameters" {
  description = "Further parameters of infra/bootstrap.yaml, by their names there: { MayDeleteData = \"false\" }. Lists are joined by commas."
  type        = map(string)
  default     = {}
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
